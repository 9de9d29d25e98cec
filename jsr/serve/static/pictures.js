// The page of pictures: takes files in, orders work, and shows the queue as the server tells it.
"use strict";

const $ = (id) => document.getElementById(id);
const AT_ONCE = 1;                        // files that are sent at the same time: the list keeps their order
const OFTEN = 500, SELDOM = 2500;         // ms between two questions, while there is work and else
const endings = new Set($("drop").dataset.endings.split(" "));
const coming = new Map();                 // files on their way: key -> {file, within, share}
const shown = new Map();                  // what the list shows: id -> {row, tasks: id -> row}
let queue = [], sending = 0, keys = 0;
let state = {version: 0, sources: [], paused: false, left: null};
const told = new Map();                   // states of tasks that were announced

// -- words

const count = (number, what) => `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;

function size(bytes) {
  if (bytes < 1e3) return count(bytes, "byte");
  if (bytes < 1e6) return `${Math.round(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

function time(seconds) {
  if (seconds < 1.5) return "1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function facts(source) {
  const frames = source.frames > 1 ? `, ${count(source.frames, "frame")}` : "";
  return `${source.width.toLocaleString("en")} × ${source.height.toLocaleString("en")}, ` +
    `${source.format.toUpperCase()}, ${source.bits} bit${frames}, ${size(source.bytes)}`;
}

function words(task) {
  if (["waiting", "cancelled", "failed"].includes(task.state)) return task.state;
  if (task.state === "done") {
    const obvious = task.did.endsWith(` by the network ${task.model}`);
    return `${task.width.toLocaleString("en")} × ${task.height.toLocaleString("en")}, ${size(task.bytes)}` +
      (obvious ? "" : `; ${task.did}`);
  }
  if (state.paused) return `paused at ${Math.floor(task.share * 100)} %`;
  if (!task.share) return "getting ready";
  const left = task.left === null ? "" : `, about ${time(task.left)} left`;
  return `${Math.floor(task.share * 100)} %${left}`;
}

// -- talking with the server

async function ask(method, address, body) {
  const options = {method, headers: {}};
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(address, options);
  if (!response.ok) throw new Error((await response.json().catch(() => ({}))).error || "This did not work.");
  return response.status === 204 ? null : response.json();
}

let timer = 0, asking = false;
async function refresh() {
  clearTimeout(timer);
  if (asking) { timer = setTimeout(refresh, 50); return; }
  asking = true;
  let busy = false;
  try {
    const found = await ask("GET", `/state?since=${state.version}`);
    $("gone").hidden = true;
    if (found) { state = found; show(); }
    busy = coming.size > 0 || state.sources.some((source) => source.tasks.some(
      (task) => task.state === "waiting" || task.state === "working"));
  } catch (error) {
    if (!(error instanceof TypeError)) location.reload();  // a server that does not know this browser: let it say so
    $("gone").hidden = false;
  } finally {
    asking = false;
    timer = setTimeout(refresh, busy && !document.hidden ? OFTEN : SELDOM);
  }
}

// -- problems

function complain(text, isTold = false) {
  const line = document.createElement("li"), words = document.createElement("span");
  const away = document.createElement("button");
  words.textContent = text;
  away.textContent = "Dismiss";
  away.className = "slim quiet";
  away.setAttribute("aria-label", `Dismiss: ${text}`);
  away.addEventListener("click", () => {
    line.remove();
    $("problems").hidden = !$("problems").children.length;
    $("pick-files").focus();
  });
  line.append(words, away);
  if (isTold) line.className = "told";
  $("problems").append(line);
  $("problems").hidden = false;
  say(text);
}

function say(text) { $("announce").textContent = text; }

// -- files on their way

function add(files) {                     // [{file, within, named}]; of folders what is no picture is passed over
  const passed = new Map();
  for (const {file, within, named} of files) {
    const ending = (/\.[^.]+$/.exec(file.name) || [""])[0].toLowerCase();
    if (!named && (file.name.startsWith(".") || !endings.has(ending))) {
      if (!file.name.startsWith(".")) passed.set(ending || "without an ending", (passed.get(ending || "without an ending") || 0) + 1);
      continue;
    }
    const key = ++keys;
    coming.set(key, {file, within, share: 0});
    queue.push(key);
  }
  if (passed.size) complain(`Passed over: ${[...passed].map(([kind, number]) => `${number} ${kind}`).join(", ")}`, true);
  send();
  show();
}

function send() {
  while (sending < AT_ONCE && queue.length) {
    const key = queue.shift(), {file, within} = coming.get(key), request = new XMLHttpRequest();
    sending += 1;
    const ended = (problem) => {
      sending -= 1;
      coming.delete(key);
      if (problem) complain(problem);
      send();
      show();
      refresh();
    };
    request.open("POST", `/sources?name=${encodeURIComponent(file.name)}&within=${encodeURIComponent(within)}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => {
      coming.get(key).share = event.loaded / (event.total || 1);
      show();
    });
    request.addEventListener("load", () => {
      let problem = "";
      if (request.status >= 300) {
        try { problem = JSON.parse(request.responseText).error; } catch { problem = `${file.name}: could not be taken`; }
      }
      ended(problem);
    });
    request.addEventListener("error", () => ended(`${file.name}: did not arrive; it may be gone, or too large`));
    request.send(file);
  }
}

async function below(entry, within) {     // the files of an entry that was dropped, folders gone down
  if (entry.isFile) {
    const file = await new Promise((found, failed) => entry.file(found, failed)).catch(() => null);
    return file ? [{file, within, named: within === ""}] : [];
  }
  const reader = entry.createReader(), found = [];
  for (;;) {
    const some = await new Promise((read, failed) => reader.readEntries(read, failed)).catch(() => []);
    if (!some.length) break;
    for (const one of some) found.push(...await below(one, within ? `${within}/${entry.name}` : entry.name));
  }
  return found;
}

function dropped(event) {
  event.preventDefault();
  $("drop").classList.remove("over");
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry());
  if (entries.some(Boolean)) {
    Promise.all(entries.filter(Boolean).map((entry) => below(entry, ""))).then((found) => {
      if (found.flat().length) add(found.flat());
      else complain("There is no picture or clip in what was dropped.", true);
    });
  } else {
    add([...event.dataTransfer.files].map((file) => ({file, within: "", named: true})));
  }
}

let over = 0;
addEventListener("dragenter", () => { over += 1; $("drop").classList.add("over"); });
addEventListener("dragleave", () => { over -= 1; if (over <= 0) { over = 0; $("drop").classList.remove("over"); } });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => { over = 0; dropped(event); });
$("pick-files").addEventListener("click", () => $("files").click());
$("pick-folder").addEventListener("click", () => $("folder").click());
$("files").addEventListener("change", (event) => {
  add([...event.target.files].map((file) => ({file, within: "", named: true})));
  event.target.value = "";
});
$("folder").addEventListener("change", (event) => {
  add([...event.target.files].map((file) => ({
    file, within: file.webkitRelativePath.split("/").slice(0, -1).join("/"), named: false})));
  event.target.value = "";
});
addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  if (files.length) add(files.map((file) => ({file, within: "", named: true})));
});

// -- what is wanted

const models = () => [...document.querySelectorAll("input[name=model]:checked")].map((box) => box.value);

function wanted() {
  const [kind, fixed] = $("size").value.split("="), value = fixed === undefined ? $("size-value").valueAsNumber : +fixed;
  return {models: models(), strength: $("strength").value / 100, size: kind ? {[kind]: value} : {}};
}

$("size").addEventListener("change", () => {
  const option = $("size").selectedOptions[0], open = option.value && !option.value.includes("=");
  $("size-other").hidden = !open;
  if (open) {
    $("size-label").textContent = option.textContent.replace(" …", "");
    $("size-value").value = {scale: 3, width: 3000, height: 2000, longest: 3000, megapixels: 12}[option.value];
  }
});
$("strength").addEventListener("input", () => { $("strength-value").textContent = `${$("strength").value} %`; });
$("how").addEventListener("change", () => {
  const chosen = [...document.querySelectorAll("#more input:checked")].map((box) => box.value.replace(/^run:/, ""));
  $("more").querySelector("summary").textContent = chosen.length ? `Models: ${chosen.join(", ")}` : "Choose or compare models";
  const full = models().length >= Number($("how").dataset.most);
  for (const box of document.querySelectorAll("input[name=model]")) box.disabled = full && !box.checked;
  $("how-error").textContent = models().length ? "" : "Tick at least one model.";
  show();
});
$("how").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("how-error").textContent = "";
  if ($("size-value").validity.badInput || Number.isNaN(wanted().size[$("size").value])) {
    $("how-error").textContent = "Give the size as a number.";
    $("size-value").focus();
    return;
  }
  try {
    await ask("POST", "/tasks", {...wanted(), sources: state.sources.map((source) => source.id)});
    say("Added to the queue.");
  } catch (error) {
    $("how-error").textContent = error.message;
  }
  refresh();
});

// -- the queue

$("pause").addEventListener("click", async () => {
  await ask("POST", "/pause", {paused: !state.paused});
  say(state.paused ? "The work goes on." : "The work is paused.");
  refresh();
});
$("clear").addEventListener("click", async () => {
  await Promise.all(state.sources.map((source) => ask("DELETE", `/sources/${source.id}`).catch(() => null)));
  $("pick-files").focus();
  say("All pictures were removed.");
  refresh();
});

function put(element, text) { if (element.textContent !== text) element.textContent = text; }

function newItem(id) {
  const row = $("item").content.firstElementChild.cloneNode(true);
  row.querySelector(".remove").addEventListener("click", async () => {
    const next = row.nextElementSibling || row.previousElementSibling;
    await ask("DELETE", `/sources/${id}`).catch(() => null);
    (next ? next.querySelector(".remove") : $("pick-files")).focus();
    refresh();
  });
  row.querySelector(".compare").addEventListener("click", () => {
    look(state.sources.find((source) => source.id === id));
  });
  const image = row.querySelector("img");
  image.addEventListener("error", () => image.removeAttribute("src"));
  image.src = `/sources/${id}/thumbnail`;
  return {row, tasks: new Map()};
}

function newTask(id) {
  const row = $("task").content.firstElementChild.cloneNode(true);
  row.querySelector(".cancel").addEventListener("click", async () => {
    await ask("POST", `/tasks/${id}/cancel`, {}).catch(() => null);
    row.closest(".item").querySelector(".remove").focus();
    refresh();
  });
  row.querySelector(".save").href = `/results/${id}`;
  return row;
}

function showTask(row, task, name) {
  const [line, bar, notes] = [".task-state", "progress", ".notes"].map((part) => row.querySelector(part));
  const [save, cancel] = [".save", ".cancel"].map((part) => row.querySelector(part));
  const open = task.state === "waiting" || task.state === "working";
  put(row.querySelector(".task-model"), `${task.model}${task.asked ? `, ${task.asked}` : ""}`);
  put(line, words(task));
  row.classList.toggle("paused", state.paused);
  bar.hidden = !open;
  bar.value = task.share;
  bar.setAttribute("aria-label", `${name} by ${task.model}`);
  save.hidden = task.state !== "done";
  save.setAttribute("aria-label", `Save ${task.name || name} by ${task.model}`);
  cancel.hidden = !open;
  cancel.setAttribute("aria-label", `Cancel ${name} by ${task.model}`);
  const lines = task.error ? [task.error] : task.notes;
  notes.hidden = !lines.length;
  if (notes.dataset.lines !== JSON.stringify(lines)) {
    notes.dataset.lines = JSON.stringify(lines);
    notes.classList.toggle("error", Boolean(task.error));
    notes.replaceChildren(...lines.map((text) => {
      const item = document.createElement("li");
      item.textContent = text;
      return item;
    }));
  }
  const before = told.get(task.id);
  told.set(task.id, task.state);
  if (before && before !== task.state && task.state === "done") say(`${name} is ready.`);
  if (before && before !== task.state && task.state === "failed") say(task.error);
}

function show() {
  const list = $("items"), sources = state.sources, there = new Set(sources.map((source) => source.id));
  for (const [id, {row}] of shown) if (!there.has(id) && !String(id).startsWith("file-")) { row.remove(); shown.delete(id); }
  for (const source of sources) {
    if (!shown.has(source.id)) { shown.set(source.id, newItem(source.id)); }
    const {row, tasks} = shown.get(source.id), name = source.within ? `${source.within}/${source.name}` : source.name;
    if (row.parentNode !== list) list.append(row);
    put(row.querySelector("h3"), name);
    put(row.querySelector(".facts-line"), facts(source));
    row.querySelector(".remove").setAttribute("aria-label", `Remove ${name}`);
    const compare = row.querySelector(".compare");
    compare.hidden = !source.tasks.some((task) => task.state === "done");
    compare.setAttribute("aria-label", `Compare ${name}`);
    for (const task of source.tasks) {
      if (!tasks.has(task.id)) {
        tasks.set(task.id, newTask(task.id));
        row.querySelector(".tasks").append(tasks.get(task.id));
      }
      showTask(tasks.get(task.id), task, source.name);
    }
  }
  showComing(list);
  const tasks = sources.flatMap((source) => source.tasks), asked = tasks.filter((task) => task.state !== "cancelled");
  const done = tasks.filter((task) => task.state === "done"), failed = tasks.filter((task) => task.state === "failed");
  const open = asked.length - done.length - failed.length;
  $("empty").hidden = sources.length > 0 || coming.size > 0;
  $("tools").hidden = !sources.length;
  $("pause").hidden = !open && !state.paused;
  put($("pause"), state.paused ? "Go on" : "Pause");
  $("zip").hidden = !done.length;
  $("total").hidden = !open;
  $("total").value = asked.length ? asked.reduce(
    (sum, task) => sum + (["done", "failed"].includes(task.state) ? 1 : task.share), 0) / asked.length : 0;
  const parts = [];
  if (coming.size) parts.push(`${count(coming.size, "file")} on the way`);
  if (asked.length) parts.push(`${done.length} of ${count(asked.length, "result")} done`);
  if (failed.length) parts.push(`${failed.length} failed`);
  if (state.paused && open) parts.push("paused");
  else if (open && state.left !== null) parts.push(`about ${time(state.left)} left`);
  if (!parts.length && sources.length) parts.push(`${count(sources.length, "picture")}, ready`);
  put($("summary"), parts.join(", "));
  $("start").disabled = !sources.length || !models().length;
  put($("start"), sources.length > 1 ? `Upscale ${sources.length} pictures` : "Upscale");
}

function showComing(list) {
  for (const [id, {row}] of shown) {
    if (String(id).startsWith("file-") && !coming.has(Number(id.slice(5)))) { row.remove(); shown.delete(id); }
  }
  for (const [key, {file, share}] of coming) {
    const id = `file-${key}`;
    if (!shown.has(id)) {
      if (shown.size > 200) continue;     // thousands on the way are counted, not listed
      const row = $("item").content.firstElementChild.cloneNode(true);
      row.querySelector(".item-head .row").remove();
      const line = newTask("");
      line.querySelector("progress").hidden = false;
      line.querySelector("progress").setAttribute("aria-label", `Taking ${file.name}`);
      row.querySelector("img").replaceWith(Object.assign(document.createElement("span"), {className: "thumb"}));
      row.querySelector(".tasks").append(line);
      row.querySelector("h3").textContent = file.name;
      shown.set(id, {row});
      list.append(row);
    }
    const {row} = shown.get(id);
    row.querySelector("progress").value = share;
    put(row.querySelector(".task-state"), share < 1 ? `on its way, ${Math.floor(share * 100)} %` : "being looked at");
  }
}

refresh();
