// Asks for news and puts the new list in place of the old one, without a reload.
// The server draws the list; it is parsed as a document, where nothing of it runs.

const region = document.getElementById("news");
const pause = document.getElementById("pause");
const between = 1000; // at least, so that a server that answers at once is not hurried
const afterTrouble = 10000;
let paused = false;
let announced = Number.parseInt(document.getElementById("waiting").dataset.count, 10);

const rest = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

async function ask() {
  const { live, seen, cursor } = document.getElementById("waiting").dataset;
  const query = new URLSearchParams({ seen, ...(cursor && { cursor }) });
  const answer = await fetch(`${live}?${query}`, { headers: { accept: "application/json" } });
  if (answer.status === 401) return { gone: true };
  if (!answer.ok) throw new Error("no news");
  const news = await answer.json();
  return { changed: news.seen !== seen };
}

async function redraw() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok || answer.redirected) throw new Error("no page");
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const old = document.getElementById("waiting");
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  old.replaceWith(document.adoptNode(page.getElementById("waiting")));
  document.title = page.title;
  if (focused) (document.getElementById(focused) || document.getElementById("main")).focus();
  announce(document.getElementById("waiting").dataset.count);
}

function announce(counted) {
  const count = Number.parseInt(counted, 10);
  const waiting = count === 1 ? "1 request waits for you." : `${counted} requests wait for you.`;
  const arrived = count > announced ? "Something new arrived. " : "";
  region.textContent = arrived + (count ? waiting : "Nothing waits for you.");
  announced = count;
}

function sayGone() {
  region.className = "notice";
  region.textContent = "You are signed out. Reload this page to sign in again.";
}

async function listen() {
  for (;;) {
    while (paused || document.hidden) await rest(between);
    try {
      const news = await ask();
      if (news.gone) return sayGone();
      if (news.changed && !paused) await redraw();
      await rest(between);
    } catch {
      await rest(afterTrouble);
    }
  }
}

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
});
listen();
