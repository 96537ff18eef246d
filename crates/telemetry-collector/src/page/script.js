// Keeps the page up to date: a server-sent event announces a change, and the same URL is fetched again.
(() => {
  "use strict";
  const main = document.querySelector("main");
  const live = document.getElementById("live");
  if (!live || !main.dataset.version) return;
  const state = document.getElementById("live-state");
  const pause = document.getElementById("live-pause");
  const RETRY = 3000;
  let announced = main.dataset.version;
  let source = null;
  let isPaused = false;
  let isFetching = false;
  let timer = 0;

  function show(name, text) {
    live.dataset.state = name;
    // A status that is written again would be announced again.
    if (state.textContent !== text) state.textContent = text;
  }

  function later(action) {
    clearTimeout(timer);
    timer = setTimeout(action, RETRY);
  }

  // A connection is held only while the page is visible: browsers limit them for each server.
  function connect() {
    if (source || isPaused || document.hidden) return;
    source = new EventSource("/page/live");
    source.onopen = () => show("live", "Live");
    source.onmessage = (message) => {
      announced = message.data;
      refresh();
    };
    source.onerror = () => {
      show("error", "Reconnecting");
      if (source && source.readyState === EventSource.CLOSED) {
        disconnect();
        later(connect);
      }
    };
  }

  function disconnect() {
    if (source) source.close();
    source = null;
  }

  // A change would take away the text that is being selected.
  const isSelecting = () => {
    const selection = getSelection();
    return !selection.isCollapsed && main.contains(selection.anchorNode);
  };

  async function refresh() {
    if (isFetching || isPaused || document.hidden || announced === main.dataset.version) return;
    if (isSelecting()) return later(refresh);
    isFetching = true;
    try {
      const response = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!response.ok) throw new Error(response.statusText);
      // Without its head: the policy of this document does not permit the style of another.
      const [text] = (await response.text()).match(/<main[^]*<\/main>/);
      if (isPaused) return;
      update(new DOMParser().parseFromString(text, "text/html").querySelector("main"));
      show("live", "Live");
    } catch {
      show("error", "Reconnecting");
    } finally {
      isFetching = false;
    }
    if (announced !== main.dataset.version) later(refresh);
  }

  // Changes the page, and scrolls so that the reader keeps the element in focus, or else the one near the top, in
  // view. Not every browser does that by itself.
  function update(next) {
    const focused = main.contains(document.activeElement) ? document.activeElement : null;
    const isVisible = focused && focused.getBoundingClientRect().bottom > 0 && focused.getBoundingClientRect().top < innerHeight;
    const anchor = isVisible ? focused : document.elementFromPoint(innerWidth / 2, innerHeight / 4);
    const top = anchor && anchor.getBoundingClientRect().top;
    morph(main, next);
    if (scrollY > 0 && anchor && anchor.isConnected) {
      scrollBy({ top: anchor.getBoundingClientRect().top - top, behavior: "instant" });
    }
  }

  // Makes `old` equal to `next` and keeps its elements where it can, with their focus, scroll position and state.
  function morph(old, next) {
    for (const { name } of [...old.attributes]) {
      if (!next.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
    }
    for (const { name, value } of next.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    const keyed = new Map([...old.children].filter((it) => it.id).map((it) => [it.id, it]));
    const wanted = new Set([...next.children].map((it) => it.id));
    let place = old.firstChild;
    for (const child of [...next.childNodes]) {
      // Elements that are no longer there make room, so that those behind them are not moved.
      while (place && place.id && !wanted.has(place.id)) place = remove(place);
      let found = child.id ? keyed.get(child.id) : place && !place.id ? place : null;
      if (found && (found.nodeType !== child.nodeType || found.nodeName !== child.nodeName)) found = null;
      if (!found) {
        old.insertBefore(document.importNode(child, true), place);
        continue;
      }
      if (found === place) place = place.nextSibling;
      else old.insertBefore(found, place);
      if (found.nodeType === Node.ELEMENT_NODE) morph(found, child);
      else if (found.nodeValue !== child.nodeValue) found.nodeValue = child.nodeValue;
    }
    while (place) place = remove(place);
  }

  function remove(node) {
    const next = node.nextSibling;
    node.remove();
    return next;
  }

  function start() {
    if (document.hidden || isPaused) return disconnect();
    connect();
    refresh();
  }

  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.setAttribute("aria-pressed", String(isPaused));
    if (isPaused) show("paused", "Paused");
    else show("", "Connecting");
    start();
  });
  document.addEventListener("visibilitychange", start);
  live.hidden = false;
  start();
})();
