// Light or dark, and how large: the address (?theme=dark&type=large) decides, then the last choice made with the button, then the system.

const mlphysTheme = (() => {
  const [key, typeKey] = ["mlphys-theme", "mlphys-type"];
  const system = matchMedia("(prefers-color-scheme: dark)");

  function remembered(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      return null; // a browser without storage still has a theme
    }
  }

  function remember(key, name) {
    try {
      localStorage.setItem(key, name);
    } catch {}
  }

  let chosen = new URLSearchParams(location.search).get("theme") ?? remembered(key);
  let large = (new URLSearchParams(location.search).get("type") ?? remembered(typeKey)) === "large";
  const current = () => (chosen === "light" || chosen === "dark" ? chosen : system.matches ? "dark" : "light");

  function apply() {
    const name = current();
    const dark = name === "dark";
    document.documentElement.dataset.theme = name;
    document.documentElement.dataset.type = large ? "large" : "usual";
    document.documentElement.style.colorScheme = name;
    for (const sheet of document.querySelectorAll("link[data-theme]")) {
      sheet.media = sheet.dataset.theme === name ? "all" : "not all";
    }
    if (document.body) {
      document.body.dataset.jpThemeLight = String(!dark);
      document.body.dataset.jpThemeName = dark ? "JupyterLab Dark" : "JupyterLab Light";
    }
    for (const button of document.querySelectorAll("[data-theme-button]")) {
      button.textContent = dark ? "Light page" : "Dark page";
    }
    for (const button of document.querySelectorAll("[data-type-button]")) {
      button.textContent = large ? "Usual type" : "Large type";
    }
  }

  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-theme-button]")) return;
    chosen = current() === "dark" ? "light" : "dark";
    remember(key, chosen);
    apply();
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-type-button]")) return;
    large = !large;
    remember(typeKey, large ? "large" : "usual");
    apply();
  });
  system.addEventListener("change", apply);
  apply();
  return { apply };
})();
