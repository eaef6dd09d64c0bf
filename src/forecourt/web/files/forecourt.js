// What pages do beyond HTML. Every page works without it.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => root.setAttribute("data-bs-theme", root.dataset.theme || (dark.matches ? "dark" : "light"));
  paint();
  dark.addEventListener("change", paint);

  document.addEventListener("DOMContentLoaded", () => {
    // What needs attention first gets the focus, so that a screen reader says it.
    const first = document.querySelector("[data-focus]");
    if (first) first.focus();

    // A notice is shown once: the address is put back to what it is without it.
    const here = new URL(location.href);
    if (here.searchParams.has("notice")) {
      here.searchParams.delete("notice");
      history.replaceState(null, "", here);
    }

    // Menus close on Escape, on a click elsewhere, and when the focus leaves them.
    const menus = [...document.querySelectorAll("details[data-menu]")];
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      for (const menu of menus.filter((item) => item.open)) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    });
    document.addEventListener("click", (event) => {
      for (const menu of menus) if (menu.open && !menu.contains(event.target)) menu.open = false;
    });
    for (const menu of menus) {
      menu.addEventListener("focusout", (event) => {
        if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
      });
    }

    // A form with unsaved changes asks before it is left, and is not sent twice.
    for (const form of document.querySelectorAll("form[data-guard]")) {
      let changed = false;
      let sent = false;
      form.addEventListener("input", () => { changed = true; });
      form.addEventListener("submit", (event) => {
        if (sent) event.preventDefault();
        sent = true;
        for (const button of form.querySelectorAll("button[type=submit]")) button.setAttribute("aria-busy", "true");
      });
      addEventListener("pageshow", () => { sent = false; });
      addEventListener("beforeunload", (event) => { if (changed && !sent) event.preventDefault(); });
    }
  });
})();
