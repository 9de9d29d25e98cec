// The page of a run: asks for what is new, and lets one look at the pictures of every validation.
"use strict";

const live = document.getElementById("live"), run = live.dataset.run;
const OFTEN = 3000;                       // ms between two questions

function choose(range) {                  // shows the picture of the step that a slider is at
  const number = range.dataset.film, step = Number(range.dataset.steps.split(" ")[range.value]);
  const gain = range.dataset.gains.split(" ")[range.value];
  const text = `step ${step.toLocaleString("en")}` +
    (gain === "None" ? "" : `, ${gain > 0 ? "+" : ""}${Number(gain).toFixed(2)} dB`);
  live.querySelector(`[data-ours="${number}"]`).src = `/runs/${run}/pictures/${number}/${step}/ours`;
  live.querySelector(`[data-at="${number}"]`).textContent = text;
  range.setAttribute("aria-valuetext", text);
}

live.addEventListener("input", (event) => { if (event.target.dataset.film) choose(event.target); });

async function refresh() {
  try {
    const response = await fetch(`/runs/${run}/live?since=${live.dataset.version}`);
    if (response.status === 403) { location.reload(); return; }
    document.getElementById("gone").hidden = true;
    if (response.status === 200) {
      const kept = [...live.querySelectorAll("[data-film]")].filter((range) => range.value !== range.max)
        .map((range) => [range.id, range.value]);
      const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
      live.innerHTML = await response.text();
      live.dataset.version = response.headers.get("X-Version");
      for (const [id, value] of kept) {
        const range = document.getElementById(id);
        if (range) { range.value = value; choose(range); }
      }
      if (focused && document.getElementById(focused)) document.getElementById(focused).focus();
      const step = live.querySelector(".fact:nth-child(2) .value");
      document.getElementById("announce").textContent = step ? `Step ${step.textContent.trim()}` : "";
    }
  } catch {
    document.getElementById("gone").hidden = false;
  }
  setTimeout(refresh, document.hidden ? 4 * OFTEN : OFTEN);
}

setTimeout(refresh, OFTEN);
