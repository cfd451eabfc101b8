// Three seconds during which the page can do nothing, from the moment when the first widget begins to load.

window.busyTimes = 0;
const createObjectURL = URL.createObjectURL;
URL.createObjectURL = (blob) => {
  if (!busyTimes++) {
    queueMicrotask(() => {
      for (const began = performance.now(); performance.now() - began < 3000; );
    });
  }
  return createObjectURL.call(URL, blob);
};
