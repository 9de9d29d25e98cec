// Crops of one place that are zoomed and moved together: a .linked element whose .crops each hold a picture.
(() => {
  "use strict";
  const MOST = 16, STEP = 1.5;

  for (const group of document.querySelectorAll(".linked")) {
    const panes = [...group.querySelectorAll(".crop")];
    let scale = 1, x = 0, y = 0, held = null;  // x, y: the left upper corner that is seen, in shares of the picture

    const show = () => {
      x = Math.min(Math.max(x, 0), 1 - 1 / scale);
      y = Math.min(Math.max(y, 0), 1 - 1 / scale);
      for (const pane of panes) {
        pane.firstElementChild.style.transform = `scale(${scale}) translate(${-100 * x}%, ${-100 * y}%)`;
      }
    };
    const zoom = (factor, atX, atY) => {  // the point under the pointer stays there
      const next = Math.min(Math.max(scale * factor, 1), MOST);
      x += atX * (1 / scale - 1 / next);
      y += atY * (1 / scale - 1 / next);
      scale = next;
      show();
    };
    const place = (pane, event) => {
      const box = pane.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };

    for (const pane of panes) {
      pane.addEventListener("wheel", (event) => {
        if (!event.ctrlKey && !group.contains(document.activeElement)) return;  // the page is scrolled
        event.preventDefault();
        zoom(event.deltaY < 0 ? STEP : 1 / STEP, ...place(pane, event));
      }, { passive: false });
      pane.addEventListener("pointerdown", (event) => {
        group.focus({ preventScroll: true });
        held = place(pane, event);
        pane.setPointerCapture(event.pointerId);
      });
      pane.addEventListener("pointermove", (event) => {
        if (!held) return;
        const now = place(pane, event);
        x -= (now[0] - held[0]) / scale;
        y -= (now[1] - held[1]) / scale;
        held = now;
        show();
      });
      for (const end of ["pointerup", "pointercancel"]) pane.addEventListener(end, () => { held = null; });
      pane.addEventListener("dblclick", () => { scale = 1; show(); });
      pane.firstElementChild.draggable = false;
    }

    const keys = {
      "+": () => zoom(STEP, 0.5, 0.5), "=": () => zoom(STEP, 0.5, 0.5), "-": () => zoom(1 / STEP, 0.5, 0.5),
      "0": () => { scale = 1; show(); },
      ArrowLeft: () => { x -= 0.1 / scale; show(); }, ArrowRight: () => { x += 0.1 / scale; show(); },
      ArrowUp: () => { y -= 0.1 / scale; show(); }, ArrowDown: () => { y += 0.1 / scale; show(); },
    };
    group.tabIndex = 0;
    group.setAttribute("role", "group");
    group.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
      if (scale === 1 && event.key.startsWith("Arrow")) return;
      event.preventDefault();
      keys[event.key]();
    });
  }
})();
