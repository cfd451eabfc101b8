// What the tests look at in a page, from inside. Runs before anything else in it.

window.look = (() => {
  const all = (part) => [...document.querySelectorAll(`[data-mlphys="${part}"]`)];
  const first = (part) => document.querySelector(`[data-mlphys="${part}"]`);
  const painted = {};

  new MutationObserver(() => {
    for (const part of ["lattice", "plot"]) {
      if (!(part in painted) && document.querySelector(`[data-mlphys="${part}"][data-frame]`)) painted[part] = performance.now();
    }
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-frame"] });

  const temperature = () => document.querySelector('[data-mlphys="control"][data-name="temperature"] input');

  function slide(slider, position) {
    slider.value = position;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  }

  // ms from now until the ruler in the first row of the workbench's picture stands where the slider does.
  async function arrival(slider, columns) {
    const [canvas, began] = [first("lattice"), performance.now()];
    const ruler = () => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, 1);
      let up = 0;
      for (let i = 0; i < columns; i++) up += data[4 * Math.floor(((i + 0.5) * canvas.width) / columns)] > 128;
      return up;
    };
    while (ruler() !== slider.valueAsNumber) {
      if (performance.now() - began > 5000) return Infinity;
      await new Promise(requestAnimationFrame);
    }
    return performance.now() - began;
  }

  return {
    // When the first canvas and the first plot were painted, in ms since the navigation began.
    firstPaint: () => painted,

    isPainted: () => [...all("lattice"), ...all("plot")].every((part) => "frame" in part.dataset || "error" in part.dataset),

    // JupyterLab shows [*] beside a cell that waits or runs, [ ] beside one that nobody has run.
    allCellsHaveRun: () => {
      const prompts = [...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")].map((node) => node.innerText.trim());
      return prompts.length > 0 && prompts.every((text) => /^\[\d+\]/.test(text));
    },

    kernelId: () => JSON.parse(document.getElementById("jupyter-config-data").textContent).kernelId,

    // How often each view has been repainted.
    frames: () =>
      Object.fromEntries(["lattice", "plot", "readouts"].flatMap((part) => all(part).map((node, i) => [`${part} ${i}`, Number(node.dataset.frame)]))),

    // Which players run.
    running: () => all("player").map((player) => player.dataset.running === "true"),

    // The points that each plot has drawn, and whether all that has points is there to be seen.
    plots: () =>
      all("plot").map((plot) => ({
        points: plot.data.map((trace) => [...(trace.y ?? [])].map(Number)),
        drawn: plot.querySelector(".main-svg .trace, .main-svg .hm, .main-svg .plot path") !== null || plot.data.every((trace) => !trace.y?.length),
      })),

    // The colours on a canvas, as bytes in base 64.
    pixels: (canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return { width: canvas.width, height: canvas.height, data: btoa(Array.from(data, (x) => String.fromCharCode(x)).join("")) };
    },

    // Of each control by the number of its group and its name: where it stands, counted in steps from its low end.
    controls: () =>
      Object.fromEntries(
        all("controls").flatMap((group, i) =>
          [...group.querySelectorAll('[data-mlphys="control"]')].map((row) => {
            const field = row.querySelector("input, select");
            return [`${i} ${row.dataset.name}`, Number(field.selectedIndex ?? field.value)];
          }),
        ),
      ),

    // Everything on the page that says something went wrong.
    complaints: () =>
      [
        ...[...document.querySelectorAll('[data-mime-type="application/vnd.jupyter.stderr"], [data-mime-type*="error"]')].map((node) => node.innerText),
        ...[...document.querySelectorAll("[data-error]")].map((node) => node.dataset.error),
        ...[...document.querySelectorAll('[data-mlphys="player"] p')].map((node) => node.innerText),
      ]
        .map((text) => text.trim())
        .filter(Boolean),

    // Marks what can be operated in the app as not yet reached; then `reach` marks what has the focus.
    markOperable: (app) => {
      for (const node of app.querySelectorAll("input, select, button")) {
        if (node.offsetParent !== null && !node.disabled) node.dataset.reached = "no";
      }
    },
    reach: () => {
      const node = document.activeElement;
      if (node && "reached" in node.dataset) node.dataset.reached = "yes";
    },

    // When the first lattice was repainted during so many seconds.
    frameTimes: async (seconds) => {
      const times = [];
      const watch = new MutationObserver(() => times.push(performance.now()));
      watch.observe(first("lattice"), { attributes: true, attributeFilter: ["data-frame"] });
      await new Promise((done) => setTimeout(done, 1000 * seconds));
      watch.disconnect();
      return times;
    },

    // Moves the workbench's temperature by ten steps; ms until the ruler in the first row of its picture says so.
    sliderToPicture: async (columns) => {
      const slider = temperature();
      slide(slider, slider.valueAsNumber + (slider.valueAsNumber > 50 ? -10 : 10));
      return arrival(slider, columns);
    },

    // Two seconds of events as fast as a page can make them; ms until the picture shows the last of them.
    flood: async (columns) => {
      const slider = temperature();
      let events = 0;
      for (const began = performance.now(); performance.now() - began < 2000; events++) {
        slide(slider, events % 100);
        if (events % 20 === 0) await new Promise((done) => setTimeout(done));
      }
      slide(slider, events % 2 ? 17 : 83);
      return [events, await arrival(slider, columns)];
    },
  };
})();
