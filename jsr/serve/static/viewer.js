// Before and after: a slider over one picture, and a loupe that shows pixels 1:1, of several results beside each other.
"use strict";

const BESIDE = 3;                         // results that the loupe shows beside the picture itself
let versions = [], source = null;         // [{name, address, width, height}] of what is looked at, the picture first

const within = (part) => document.querySelector(`#viewer ${part}`);

function look(what) {                     // opens the viewer on a source with its results
  source = what;
  versions = [{name: "Before", address: `/sources/${what.id}/view`, width: what.width, height: what.height}];
  for (const task of what.tasks.filter((task) => task.state === "done")) {
    versions.push({name: `${task.model}${task.asked ? `, ${task.asked}` : ""}`, address: `/results/${task.id}/view`,
                   width: task.width, height: task.height});
  }
  $("viewer-title").textContent = what.name;
  for (const [id, first] of [["left", 0], ["right", versions.length - 1]]) {
    $(id).replaceChildren(...versions.map((version, number) => new Option(version.name, number)));
    $(id).value = first;
  }
  $("wipe").value = $("across").value = $("down").value = 50;
  within("input[value=slider]").checked = true;
  $("viewer").showModal();
  showWipe();
  change();
}

function change() {
  const loupe = within("input[name=look]:checked").value === "loupe";
  $("slider").hidden = loupe;
  $("loupe").hidden = !loupe;
  for (const part of document.querySelectorAll("#viewer .slider-only")) part.hidden = loupe;
  if (loupe) { showPanes(); return; }
  const left = versions[$("left").value], right = versions[$("right").value];
  const stage = $("stage");
  stage.style.setProperty("--ratio", source.width / source.height);
  for (const [part, tag, version] of [[".over", ".left", left], [".under", ".right", right]]) {
    const image = within(`img${part}`);
    if (image.getAttribute("src") !== version.address) image.src = version.address;
    image.alt = `${source.name}, ${version.name}`;
    within(`.name-tag${tag}`).textContent = version.name;
  }
  $("shown").textContent = `${right.width.toLocaleString("en")} × ${right.height.toLocaleString("en")} px`;
}

function showWipe() {
  $("stage").style.setProperty("--wipe", `${$("wipe").value}%`);
  $("wipe").setAttribute("aria-valuetext", `${Math.round($("wipe").value)} percent of the left one`);
}

// -- the loupe

function largest() { return versions.reduce((most, one) => (one.width > most.width ? one : most)); }

function showPanes() {
  const chosen = [versions[0], ...versions.slice(1).slice(-BESIDE)];
  $("panes").replaceChildren(...chosen.map((version) => {
    const pane = document.createElement("div"), image = document.createElement("img"), tag = document.createElement("span");
    pane.className = "pane";
    tag.className = "name-tag left";
    tag.textContent = version.name;
    image.alt = `${source.name}, ${version.name}, pixels 1:1`;
    image.draggable = false;
    image.addEventListener("load", () => {
      pane.dataset.loaded = image.naturalWidth;
      note(chosen);
    });
    image.src = version.address;
    pane.append(image, tag);
    return pane;
  }));
  place();
  note(chosen);
}

function note(chosen) {
  const most = largest(), place = chosen.indexOf(most), pane = $("panes").children[place];
  const loaded = pane ? Number(pane.dataset.loaded || 0) : 0;
  const reduced = loaded && loaded < most.width ? `; shown at ${Math.round(100 * loaded / most.width)} % of its pixels` : "";
  $("shown").textContent = `${chosen.length} beside each other, pixels of the largest 1:1${reduced}`;
}

function place() {                        // puts the same part of all versions into the panes
  const most = largest(), dense = window.devicePixelRatio || 1, width = most.width / dense, height = most.height / dense;
  for (const pane of $("panes").children) {
    const image = pane.querySelector("img"), room = pane.getBoundingClientRect();
    const at = ([whole, seen, share]) => (whole <= seen ? (seen - whole) / 2 : -(whole - seen) * share / 100);
    image.style.width = `${width}px`;
    image.style.height = `${height}px`;
    image.style.transform = `translate(${Math.round(at([width, room.width, $("across").value]))}px, ` +
      `${Math.round(at([height, room.height, $("down").value]))}px)`;
  }
}

function drag(event) {                    // moves what all panes show
  const pane = event.target.closest(".pane");
  if (!pane || event.buttons !== 1) return;
  const most = largest(), dense = window.devicePixelRatio || 1, room = pane.getBoundingClientRect();
  for (const [id, moved, whole, seen] of [["across", event.movementX, most.width / dense, room.width],
                                          ["down", event.movementY, most.height / dense, room.height]]) {
    if (whole > seen) $(id).value = Number($(id).value) - 100 * moved / (whole - seen);
  }
  place();
}

$("viewer-close").addEventListener("click", () => $("viewer").close());
$("viewer").addEventListener("close", () => {
  for (const image of document.querySelectorAll("#viewer img")) image.removeAttribute("src");
  $("panes").replaceChildren();
});
for (const radio of document.querySelectorAll("#viewer input[name=look]")) radio.addEventListener("change", change);
for (const id of ["left", "right"]) $(id).addEventListener("change", change);
$("wipe").addEventListener("input", showWipe);
for (const id of ["across", "down"]) { $(id).step = "any"; $(id).addEventListener("input", place); }
$("panes").addEventListener("pointerdown", (event) => {
  const pane = event.target.closest(".pane");
  if (pane) pane.setPointerCapture(event.pointerId);
});
$("panes").addEventListener("pointermove", drag);
addEventListener("resize", () => { if ($("viewer").open && !$("loupe").hidden) place(); });
