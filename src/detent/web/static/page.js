// Opens forms in a dialog, tells times in the reader's zone, and says when the page is out of date.
// Everything here is a convenience: without it the same forms are pages of their own.
"use strict";

const LOOK_MS = 2000;
const state = document.getElementById("state");
let tag = null, fails = 0, lastAnswer = new Date();

for (const time of document.querySelectorAll("time")) {
  time.title = new Date(time.dateTime).toLocaleString();
}

async function openForm(link) {
  const answer = await fetch(link.href);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const form = page.querySelector("form.ask");
  if (!answer.ok || !form) { location.href = link.href; return; }
  const dialog = document.createElement("dialog");
  const title = form.querySelector("h1");
  title.id = "dialog-title";
  dialog.setAttribute("aria-labelledby", title.id);
  dialog.append(document.adoptNode(form));
  document.body.append(dialog);
  dialog.addEventListener("close", () => { dialog.remove(); link.focus(); });
  form.querySelector("[data-close]").addEventListener("click", (event) => {
    event.preventDefault();
    dialog.close();
  });
  dialog.showModal();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  openForm(link).catch(() => { location.href = link.href; });
});

// Values of a chart: told in words beneath it when pointed at, and one by one with the arrow keys.
for (const drawing of document.querySelectorAll(".drawing")) {
  const values = [...drawing.querySelectorAll(".value")], told = drawing.nextElementSibling;
  let at = -1;
  const tell = (next) => {
    values[at]?.classList.remove("at");
    at = next;
    values[at]?.classList.add("at");
    told.textContent = values[at]?.querySelector("title").textContent ?? "";
  };
  drawing.addEventListener("pointerover", (event) => {
    const found = values.indexOf(event.target.closest(".value"));
    if (found >= 0) tell(found);
  });
  drawing.addEventListener("blur", () => tell(-1));
  drawing.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || !values.length) return;
    event.preventDefault();
    tell((Math.max(at, step < 0 ? 0 : -1) + step + values.length) % values.length);
    values[at].scrollIntoView({ block: "nearest", inline: "nearest" });
  });
}

function say(text, isGone) {
  if (state.textContent !== text) state.textContent = text;
  state.hidden = text === "";
  for (const button of document.querySelectorAll("form[method=post] button")) {
    button.disabled = isGone;
  }
}

async function look() {
  if (document.visibilityState === "visible") {
    try {
      const answer = await fetch("/changes.json", { cache: "no-store", headers: tag ? { "If-None-Match": tag } : {} });
      lastAnswer = new Date();
      if (answer.status === 200) {
        const found = answer.headers.get("ETag");
        if (tag !== null && found !== tag) say("Something has changed since this page was opened. Reload to see it.", false);
        tag = tag ?? found;
      }
      if (fails) say("", false);
      fails = 0;
    } catch {
      fails += 1;
      say(`Not updating: no answer since ${lastAnswer.toLocaleTimeString()}. Trying again.`, true);
    }
  }
  setTimeout(look, LOOK_MS * Math.min(2 ** fails, 16));
}
if (location.pathname !== "/sign-in") look();
