// What the page does more than a page: the clocks run, the timeline grows, the cord shows
// its state at once. Without this file every form still works.
(function () {
  "use strict";
  var body = document.body, base = body.dataset.base || "", link = document.getElementById("link");
  var most = 200;

  function show(cord) {
    var state = document.getElementById("state"), word = document.getElementById("state-word"), more = document.getElementById("state-more");
    state.className = "state s-" + cord.state;
    word.textContent = cord.state;
    more.textContent = cord.holds + (cord.holds === 1 ? " hold, " : " holds, ") + cord.in_flight + " in flight" + (cord.durable ? "" : ", NOT YET ON DISK");
    document.title = document.title.replace(/[^:]*$/, " " + cord.state);
  }

  // The press is sent at once. Whatever goes wrong on the way, the form itself is sent as
  // if there were no script.
  var stop = document.querySelector("form[data-stop]"), plain = false;
  if (stop) stop.addEventListener("submit", function (e) {
    if (plain) return;
    e.preventDefault();
    fetch(stop.action, {method: "POST", headers: {Accept: "application/json", "Content-Type": "application/x-www-form-urlencoded"}, body: "", keepalive: true})
      .then(function (r) { return r.json(); })
      .then(function (a) {
        if (!a.cord || a.error) throw new Error(a.error || "no answer");
        show(a.cord);
      })
      .catch(function () { plain = true; stop.submit(); });
  });

  function tick() {
    var now = Date.now(), all = document.querySelectorAll("time[data-until]");
    for (var i = 0; i < all.length; i++) {
      var s = Math.round((Date.parse(all[i].dateTime) - now) / 1000), late = s < 0;
      s = Math.abs(s);
      var text = (late ? "late by " : "in ") + (s >= 3600 ? Math.floor(s / 3600) + "h" : "") + (s >= 60 ? Math.floor(s % 3600 / 60) + "m" : "") + s % 60 + "s";
      if (all[i].textContent !== text) all[i].textContent = text;
      if (late) all[i].classList.add("bad");
    }
  }
  setInterval(tick, 1000);
  tick();

  if (!("livePage" in body.dataset)) return;

  // What is live is renewed in parts. Nothing moves under a pointer or a hand that is about
  // to press: a part that somebody points at, types in or has opened is held still, and what
  // stands above such a place may change only where scrolling can make up for it.
  var wanted = false, busy = false, line = "", held = [];
  function say() { link.textContent = line + (held.length ? " Held still while you point at it, type in it or have it open: " + held.join(", ") + "." : ""); }
  function typed(i) { return i.type === "checkbox" ? i.checked !== i.defaultChecked : i.type !== "hidden" && i.value !== i.defaultValue; }
  function free(part) {
    return !part.contains(document.activeElement) && !part.matches(":hover") && !part.open && !part.querySelector("details[open]") &&
      !Array.from(part.querySelectorAll("input, textarea, select")).some(typed);
  }

  // told is what a part says, without what differs each time it is made.
  function told(part) {
    var copy = part.cloneNode(true);
    copy.querySelectorAll("input[name=token]").forEach(function (n) { n.remove(); });
    copy.querySelectorAll("time[data-until]").forEach(function (n) { n.replaceWith(n.dateTime); });
    return copy.innerHTML;
  }

  // touched is what somebody points at or has the focus in; null on a screen that is only
  // touched, where nobody knows before the press.
  function touched() {
    var over = document.querySelectorAll("main :hover"), at = over.length ? over[over.length - 1] : document.activeElement;
    return at && at.closest("main") && at.matches("section *") ? at : null;
  }

  // replace puts new content in a part, and reports whether it could.
  function replace(part, next) {
    var at = touched(), was = at && at.getBoundingClientRect().top, old = Array.from(part.childNodes), height = part.offsetHeight, y = scrollY;
    part.replaceChildren.apply(part, Array.from(next.childNodes));
    tick();
    if (at) {
      scrollBy(0, at.getBoundingClientRect().top - was);
      if (Math.abs(at.getBoundingClientRect().top - was) >= 1) {
        part.replaceChildren.apply(part, old);
        scrollTo(scrollX, y);
        return false;
      }
    }
    if (part.offsetHeight !== height || part.querySelector("button, summary, a")) moved();
    return true;
  }

  // A finger says nothing before it presses. What it presses within half a second after
  // something has moved is not what it was aimed at, and is not taken. The stop never moves,
  // and is always taken; so is what the keyboard presses (detail 0), which follows the focus.
  var still = 0;
  function moved() {
    body.dataset.moved = "";
    clearTimeout(still);
    still = setTimeout(function () { delete body.dataset.moved; }, 500);
  }
  document.addEventListener("click", function (e) {
    if (!("moved" in body.dataset) || e.detail === 0 || !e.target.closest("main")) return;
    e.preventDefault();
    e.stopPropagation();
    link.textContent = "Not taken: the page had just changed under your finger. Look, and press again.";
  }, true);

  function renew() {
    if (busy) { wanted = true; return; }
    busy = true;
    wanted = false;
    fetch(base + "/console", {headers: {Accept: "text/html"}}).then(function (r) {
      if (!r.ok) throw new Error(r.status);
      return r.text();
    }).then(function (html) {
      var page = new DOMParser().parseFromString(html, "text/html"), before = held.join();
      held = [];
      document.querySelectorAll("[data-live]").forEach(function (part) {
        var next = page.querySelector("[data-live=" + part.dataset.live + "]");
        if (!next || told(part) === told(next)) return;
        if (!free(part) || !replace(part, next)) held.push(part.querySelector("h2, summary").textContent);
      });
      wanted = wanted || held.length > 0;
      if (held.join() !== before) say();
    }).catch(function () { wanted = true; }).then(function () { setTimeout(function () { busy = false; if (wanted) renew(); }, 2000); });
  }
  setInterval(renew, 10000); // positions and backups are looked at without an event

  // Lines come in crowds, and are put on the page together.
  var come = [], putting = 0;
  function add(e) {
    come.push(JSON.parse(e.data));
    if (come.length > 5 * most) come.shift();
    putting = putting || setTimeout(put, 50);
  }
  function put() {
    var lines = document.getElementById("lines"), fresh = document.createDocumentFragment();
    var limit = lines.scrollTop > 0 ? 5 * most : most; // whoever reads further down keeps what is read
    come.slice(-limit).forEach(function (l) { fresh.prepend(lineOf(l)); });
    come = [];
    putting = 0;
    lines.prepend(fresh);
    while (lines.children.length > limit) lines.lastElementChild.remove();
    renew();
  }
  function lineOf(l) {
    var li = document.createElement("li");
    function put(tag, cls, text) { var n = document.createElement(tag); n.className = cls; n.textContent = text; li.append(n, " "); return n; }
    put("time", "", l.at.slice(0, 19).replace("T", " ") + " UTC").dateTime = l.at;
    put("span", "kind", l.kind);
    if (l.incident) put("span", "num", l.incident);
    li.append(document.createElement("br"));
    put("strong", "", l.what);
    put("span", "by", "by " + l.by);
    li.append(document.createElement("br"));
    put("span", "why", l.why);
    return li;
  }

  // A line that is cut, or on which nothing was heard for longer than the server is ever
  // silent (15 s), tells nothing any more: the cord is unknown until it is heard again.
  var source, last = body.dataset.last, cord = "", heard = Date.now(), tried = 0, cut = 0, again = 0;
  function hear() {
    heard = Date.now();
    if (!cut) return;
    clearTimeout(cut);
    cut = 0;
    if (cord) show(JSON.parse(cord));
    renew(); // what no event tells
  }
  function lose() {
    line = "NOT LIVE: what you see is old. It is tried again.";
    say();
    if (cut) return;
    cut = setTimeout(function () {
      var word = document.getElementById("state-word"), was = word.textContent;
      document.getElementById("state").className = "state";
      word.textContent = "unknown";
      document.getElementById("state-more").textContent = "NOT LIVE: it was " + was + " at " + new Date(heard).toISOString().slice(11, 19) + " UTC";
      document.title = document.title.replace(/[^:]*$/, " unknown");
    }, 3000);
  }
  function open() {
    clearTimeout(again);
    if (source) source.close();
    source = new EventSource(base + "/console/events?after=" + last);
    source.addEventListener("timeline", function (e) { hear(); last = e.lastEventId; add(e); });
    source.addEventListener("alive", hear);
    source.addEventListener("cord", function (e) {
      hear();
      show(JSON.parse(e.data));
      if (cord && cord !== e.data) renew();
      cord = e.data;
    });
    source.onopen = function () { line = "Live."; say(); hear(); };
    source.onerror = function () {
      lose();
      if (source.readyState === EventSource.CLOSED) again = setTimeout(open, 5000); // refused: the browser does not try again by itself
    };
  }
  open();
  setInterval(function () { if (Date.now() - Math.max(heard, tried) > 40000) { tried = Date.now(); lose(); open(); } }, 1000);
})();
