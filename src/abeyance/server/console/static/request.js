// Two things for the page of a request. What decides is inactive until it has been in view for
// half a second, so that a click meant for something else decides nothing. And when the request
// changes elsewhere the page says so and its buttons die; the server would refuse them anyway.

const inView = 500;
const between = 1000;
const afterTrouble = 10000;
const page = document.getElementById("request");
const buttons = [...document.querySelectorAll("form[data-arm] button[name=vote]")];
const timers = new Map();
const visible = new Set();
let dead = false;

const rest = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const isArmed = (button) => button.getAttribute("aria-disabled") !== "true";

function disarm(button) {
  clearTimeout(timers.get(button));
  button.setAttribute("aria-disabled", "true");
}

function arm(button) {
  disarm(button);
  if (dead || document.hidden || !visible.has(button)) return;
  timers.set(button, setTimeout(() => button.removeAttribute("aria-disabled"), inView));
}

const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    visible[isIntersecting ? "add" : "delete"](target);
    arm(target);
  }
}, { threshold: 0.5 });

for (const button of buttons) {
  disarm(button);
  watcher.observe(button);
  button.form.addEventListener("submit", (event) => {
    if (!isArmed(button)) event.preventDefault();
    else disarm(button); // one press, one vote
  });
}
// A window that was on top of this one a moment ago took the first half of a double click.
document.addEventListener("visibilitychange", () => buttons.forEach(arm));
addEventListener("focus", () => buttons.forEach(arm));
addEventListener("pageshow", (event) => event.persisted && buttons.forEach(arm));

function die(sentence) {
  dead = true;
  buttons.forEach(disarm);
  const again = document.createElement("a");
  again.href = location.href;
  again.textContent = "Show it as it stands now";
  const region = document.getElementById("news");
  region.classList.add("notice");
  region.replaceChildren(`${sentence} `, again);
}

async function listen() {
  const { live, version } = page.dataset;
  for (;;) {
    while (document.hidden) await rest(between);
    try {
      const answer = await fetch(`${live}?version=${version}`);
      if (answer.status === 401) return die("You are signed out.");
      if (answer.status === 404) return die("This request is gone.");
      const news = answer.ok ? await answer.json() : null;
      if (news && !news.decidable) return die("This request is closed by now.");
      if (news && news.version !== version) return die("This request has changed.");
      await rest(news ? between : afterTrouble);
    } catch {
      await rest(afterTrouble);
    }
  }
}

if (page?.dataset.decidable === "yes") listen();
document.getElementById("summary")?.focus();
// A link of the summary may lead to a field in a part that is folded.
addEventListener("hashchange", () => {
  const field = document.getElementById(location.hash.slice(1));
  for (let part = field?.closest("details"); part; part = part.parentElement.closest("details")) {
    part.open = true;
  }
  field?.focus();
});
