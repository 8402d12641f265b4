// Mounts the explorers of a page. Each is the very module that JupyterLab runs (explore.js), fed
// with the state that a kernel left: no kernel, no widget manager, no request to another server.
// Classic scripts, not modules and fetch, so that the pages work from a folder on a disk as well.

(() => {
  const here = document.currentScript.src;
  const waiting = {};

  // Each file in _static/explorers calls this with its name and its state.
  window.descentState = (key, state) => waiting[key](state);

  function load(key) {
    return new Promise((resolve, reject) => {
      waiting[key] = resolve;
      const script = document.createElement("script");
      script.src = new URL(`explorers/${key}.js`, here);
      script.onerror = () => reject(new Error(`${script.src} did not load`));
      document.head.append(script);
    });
  }

  function bytes(base64) {
    return new DataView(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer);
  }

  async function mount(place) {
    const still = [...place.childNodes];
    try {
      const { spec, ...binary } = await load(place.dataset.explorer);
      const state = { spec };
      for (const [name, text] of Object.entries(binary)) state[name] = bytes(text);
      const el = document.createElement("div");
      place.replaceChildren(el);
      await window.descentExplorer.render({ model: { get: (name) => state[name] }, el });
      place.dataset.mounted = "";
    } catch (error) {
      place.replaceChildren(...still); // the picture is still right, it only does not move
      console.error(error);
    }
  }

  // The theme leaves the buttons that unfold a chapter of the contents without a name.
  for (const button of document.querySelectorAll("nav summary:not([aria-label])"))
    button.setAttribute("aria-label", `Pages of ${button.closest("li")?.querySelector("a")?.textContent}`);

  // A formula wider than the screen scrolls: then the keyboard has to reach it.
  function reach() {
    for (const formula of document.querySelectorAll("div.math"))
      formula.tabIndex = formula.scrollWidth > formula.clientWidth ? 0 : -1;
  }
  addEventListener("resize", reach);
  reach();

  const places = document.querySelectorAll("[data-explorer]");
  const nearby = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      nearby.unobserve(target);
      mount(target);
    }
  }, { rootMargin: "800px" });
  places.forEach((place) => nearby.observe(place));
})();
