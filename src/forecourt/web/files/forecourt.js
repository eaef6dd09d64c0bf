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

    // The search of a lookup opens in a dialog; where that cannot be, the form searches by itself.
    for (const button of document.querySelectorAll("form[data-guard] button[name='@search']")) {
      button.addEventListener("click", (event) => {
        if (typeof HTMLDialogElement === "undefined") return;
        event.preventDefault();
        pick(button);
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

  // Shows the rows of a lookup in a dialog, and takes the one that is chosen into the form.
  async function pick(button) {
    const field = button.closest("fieldset");
    const name = button.value;
    const typed = field.querySelector(`input[name="@find.${CSS.escape(name)}"]`);
    const address = new URL(button.form.action, location.href);
    address.hash = "";
    address.searchParams.set("lookup", name);
    address.searchParams.set("q", typed ? typed.value.trim() : "");
    const dialog = document.createElement("dialog");
    dialog.className = "fc-dialog";
    dialog.setAttribute("aria-label", field.querySelector("legend").firstChild.textContent.trim());
    const give = () => { dialog.close(); button.form.requestSubmit(button); };
    if (!(await fill(dialog, address))) { button.form.requestSubmit(button); return; }
    document.body.append(dialog);
    dialog.addEventListener("close", () => { dialog.remove(); button.focus(); });
    dialog.addEventListener("submit", async (event) => {
      event.preventDefault();
      const asked = new URL(event.target.action, location.href);
      asked.search = new URLSearchParams(new FormData(event.target)).toString();
      if (!(await fill(dialog, asked))) give();
    });
    dialog.addEventListener("click", async (event) => {
      const page = event.target.closest("a[data-pick-page]");
      const chosen = event.target.closest(".fc-choose");
      if (event.target === dialog || event.target.closest(".fc-dialog-close")) dialog.close();
      if (page) {
        event.preventDefault();
        if (!(await fill(dialog, page.href))) give();
      }
      if (chosen) {
        choose(field, name, chosen.dataset.id, chosen.dataset.name);
        dialog.close();
      }
    });
    dialog.showModal();
    dialog.querySelector("input[type=search]").focus();
  }

  // The inside of the dialog from the server; false where it is not to be had.
  async function fill(dialog, address) {
    try {
      const answer = await fetch(address, { headers: { accept: "text/html" }, credentials: "same-origin" });
      const text = await answer.text();
      const inside = new DOMParser().parseFromString(text, "text/html").querySelector(".fc-pick");
      if (!answer.ok || !inside) return false;
      const close = document.createElement("button");
      close.type = "button";
      close.className = "fc-dialog-close btn btn-outline-secondary";
      close.textContent = "\u00d7";
      close.setAttribute("aria-label", document.documentElement.dataset.wordClose || "Close");
      dialog.replaceChildren(close, document.adoptNode(inside));
      const again = dialog.querySelector("input[type=search]");
      if (dialog.open && again) again.focus();
      return true;
    } catch {
      return false;
    }
  }

  function choose(field, name, id, text) {
    for (const old of field.querySelectorAll(`input[name="${CSS.escape(name)}"]`)) (old.closest("label") || old).remove();
    for (const kind of ["@find.", "@found."]) {
      const input = field.querySelector(`input[name="${kind}${CSS.escape(name)}"]`);
      if (input) input.value = "";
    }
    const held = document.createElement("input");
    held.type = "hidden";
    held.name = name;
    held.value = id;
    let shown = field.querySelector(".fc-chosen");
    if (!shown) {
      shown = document.createElement("p");
      shown.className = "fc-chosen";
      shown.setAttribute("role", "status");
      field.querySelector(".fc-search-box").before(shown);
    }
    shown.textContent = text || "\u2013";
    shown.before(held);
    held.dispatchEvent(new Event("input", { bubbles: true }));
  }
})();
