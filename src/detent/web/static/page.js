// Opens forms in a dialog, tells times in the reader's zone, and keeps the page fresh.
// Everything here is a convenience: without it the same forms are pages of their own.
"use strict";

const LOOK_MS = 2000;
const state = document.getElementById("state");
const live = document.querySelector("[data-live]");
const asked = live ? live.dataset.live : "/changes.json";
let tag = null, fails = 0, lastAnswer = new Date();

// When pointed at, not before: telling 500 times takes a slow machine a second.
document.addEventListener("pointerover", (event) => {
  const time = event.target.closest("time");
  if (time) time.title ||= new Date(time.dateTime).toLocaleString();
});

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
  if (link.getAttribute("aria-disabled") === "true") return;
  openForm(link).catch(() => { location.href = link.href; });
});

// A value of a chart is told in words beneath it when pointed at, and one after the other by arrow keys.
function tell(drawing, next) {
  const told = drawing.nextElementSibling;
  drawing.querySelector(".value.at")?.classList.remove("at");
  next?.classList.add("at");
  told.textContent = next?.querySelector("title").textContent ?? "";
}

document.addEventListener("pointerover", (event) => {
  const value = event.target.closest(".drawing .value");
  if (value) tell(value.closest(".drawing"), value);
});

document.addEventListener("focusout", (event) => {
  if (event.target.matches(".drawing")) tell(event.target, null);
});

document.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step || !event.target.matches(".drawing")) return;
  const values = [...event.target.querySelectorAll(".value")];
  if (!values.length) return;
  event.preventDefault();
  const at = values.findIndex((value) => value.matches(".at"));
  const next = values[at < 0 && step < 0 ? values.length - 1 : (at + step + values.length) % values.length];
  tell(event.target, next);
  next.scrollIntoView({ block: "nearest", inline: "nearest" });
});

function say(text, isGone) {
  if (state.textContent !== text) state.textContent = text;
  state.hidden = text === "";
  for (const button of document.querySelectorAll("form[method=post] button")) {
    button.disabled = isGone;
  }
  for (const link of document.querySelectorAll("a[data-dialog]")) {
    if (isGone) link.setAttribute("aria-disabled", "true");
    else link.removeAttribute("aria-disabled");
  }
}

// Puts the new content in the place of the old: what was open stays open, and the focus where it was.
function refresh(html) {
  const open = [...live.querySelectorAll("details[open] > summary")].map((one) => one.textContent);
  const places = "a, button, summary, [tabindex]";
  const at = [...live.querySelectorAll(places)].indexOf(document.activeElement);
  const was = at < 0 ? "" : document.activeElement.textContent;
  const page = new DOMParser().parseFromString(html, "text/html");
  live.replaceChildren(...page.body.childNodes);
  for (const one of live.querySelectorAll("details > summary")) {
    if (open.includes(one.textContent)) one.parentElement.open = true;
  }
  const there = [...live.querySelectorAll(places)];
  const next = at < 0 ? null : there[at]?.textContent === was ? there[at] : there.find((one) => one.textContent === was);
  if (next) next.focus();
}

async function look() {
  if (document.visibilityState === "visible") {
    try {
      const answer = await fetch(asked, { cache: "no-store", headers: tag ? { "If-None-Match": tag } : {} });
      if (answer.status >= 500) throw new Error(answer.statusText);
      if (answer.redirected) { location.reload(); return; } // to where one signs in
      lastAnswer = new Date();
      if (fails) say("", false);
      fails = 0;
      if (answer.status === 200) {
        const found = answer.headers.get("ETag");
        if (!live) {
          if (tag !== null && found !== tag) say("Something has changed since this page was opened. Reload to see it.", false);
          tag = tag ?? found;
        } else if (!document.querySelector("dialog[open]")) {
          refresh(await answer.text());
          tag = found;
        }
      }
    } catch {
      fails += 1;
      say(`Not updating: no answer since ${lastAnswer.toLocaleTimeString()}. Trying again.`, true);
    }
  }
  setTimeout(look, LOOK_MS * Math.min(2 ** fails, 16));
}
if (location.pathname !== "/sign-in") look();
