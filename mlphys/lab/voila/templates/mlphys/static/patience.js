// anywidget gives a widget two seconds to load; one that is later never hears its kernel again. A slow machine with a page full
// of widgets, or a browser busy with plotly.js, takes longer, and nothing is wrong: let it take a minute.
(() => {
  const timeout = AbortSignal.timeout;
  if (timeout.patient) return;
  AbortSignal.timeout = (milliseconds) => timeout.call(AbortSignal, milliseconds === 2000 ? 60000 : milliseconds);
  AbortSignal.timeout.patient = true;
})();
