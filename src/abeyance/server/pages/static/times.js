// Keeps the times on a page up to date, and adds the reader's own time to absolute ones.
// The server's clock counts: `data-now` is its time when the page was drawn.

const drawn = performance.now();
const server = Date.parse(document.documentElement.dataset.now);
const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

const now = () => server + performance.now() - drawn;

// The same words as in words.py: two units at most, no seconds from ten minutes on.
function about(milliseconds) {
  let seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds >= 600) seconds -= seconds % 60;
  const parts = [];
  for (const [name, size] of units) {
    const count = Math.floor(seconds / size);
    seconds %= size;
    if (count) parts.push(`${count} ${name}${count === 1 ? "" : "s"}`);
  }
  return parts.slice(0, 2).join(" ") || "0 seconds";
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function refresh() {
  for (const time of document.querySelectorAll("time[data-left]")) {
    const left = Date.parse(time.dateTime) - now();
    say(time, about(left));
    time.classList.toggle("soon", left < 5 * 60 * 1000);
  }
  for (const time of document.querySelectorAll("time[data-passed]")) {
    const passed = now() - Date.parse(time.dateTime);
    say(time, passed < 60 * 1000 ? "less than a minute" : about(passed));
  }
  for (const time of document.querySelectorAll("time[data-local]:not([data-told])")) {
    time.dataset.told = "";
    const at = new Date(time.dateTime);
    if (!at.getTimezoneOffset()) continue;
    const local = at.toLocaleString(undefined, {
      weekday: "short", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
    });
    time.append(` (${local})`);
  }
}

refresh();
setInterval(refresh, 1000);
