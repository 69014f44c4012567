// Keys move the focus and unfold; none of them decides anything. They can be off (WCAG 2.1.4),
// and the browser remembers that.

const panel = document.getElementById("keys");
const note = document.getElementById("keys-note");
const button = document.getElementById("keys-switch");
const name = "abeyance-keys";
const recall = () => {
  try {
    return localStorage.getItem(name) !== "off";
  } catch {
    return true; // a browser that keeps nothing
  }
};
let on = recall();

function say() {
  button.textContent = on ? "Turn these keys off" : "Turn these keys on";
}

function toggle() {
  on = !on;
  try {
    localStorage.setItem(name, on ? "on" : "off");
  } catch {
    // It holds until the page is left.
  }
  say();
}

function show(shown) {
  panel.hidden = !shown;
  if (shown) {
    panel.scrollIntoView({ block: "nearest" });
    button.focus({ preventScroll: true });
  }
}

function move(by) {
  const links = [...document.querySelectorAll(".row h2 a")];
  const at = links.indexOf(document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by;
  links[Math.min(Math.max(next, 0), links.length - 1)]?.focus();
}

function reach(part, target) {
  if (!part) return;
  if (part.tagName === "DETAILS") part.open = true;
  const reached = part.querySelector(target);
  reached?.scrollIntoView({ block: "center" });
  reached?.focus();
}

function leave() {
  if (!panel.hidden) return show(false);
  const open = [...document.querySelectorAll(".decision details[open]")];
  if (open.length) {
    open.forEach((part) => (part.open = false));
    return open[0].querySelector("summary").focus();
  }
  document.querySelector(".back a")?.click();
}

const keys = {
  j: () => move(1),
  k: () => move(-1),
  a: () => reach(document.getElementById("decide"), "button[name=vote]"),
  r: () => reach(document.getElementById("deny"), "input:not([type=hidden])"),
  Escape: leave,
  "?": () => show(panel.hidden),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const writes = event.target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select");
  const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || writes || !on) return;
  event.preventDefault();
  act();
});

say();
note.hidden = false;
document.getElementById("keys-show").addEventListener("click", () => show(panel.hidden));
button.addEventListener("click", toggle);
