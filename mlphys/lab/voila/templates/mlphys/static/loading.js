// What the page says until its cells are there, and when its kernel has ended. Voila calls the three functions.

(() => {
  const began = performance.now();
  const text = document.getElementById("loading_text");

  window.voila_process = (cell, cells) => {
    if (text) text.textContent = `Preparing part ${cell} of ${cells} …`;
  };

  window.voila_heartbeat = () => {
    const seconds = Math.round((performance.now() - began) / 1000);
    const advice = seconds < 60 ? "" : " If this does not end, the reason stands in the server's output.";
    if (text) text.textContent = `Still starting, ${seconds} s so far.${advice}`;
  };

  // Voila calls this once the cells have arrived and again once the theme is there: the second call counts.
  window.voila_finish = () => {
    if (!window.themeLoaded) {
      window.cellLoaded = true;
      return;
    }
    document.getElementById("loading")?.remove();
    document.getElementById("rendered_cells").style.display = "";
    watchKernel();
  };

  function watchKernel() {
    const { baseUrl, kernelId } = JSON.parse(document.getElementById("jupyter-config-data").textContent);
    const timer = setInterval(async () => {
      const answer = await fetch(`${baseUrl}api/kernels/${kernelId}`).catch(() => null);
      if (answer?.ok) return;
      document.getElementById("ended").hidden = false;
      clearInterval(timer);
    }, 15000);
  }
})();
