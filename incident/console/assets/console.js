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
    more.textContent = cord.holds + " holds, " + cord.in_flight + " in flight" + (cord.durable ? "" : ", NOT YET ON DISK");
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

  // A part is renewed only while nobody points at it or types in it, so that nothing moves
  // under a finger.
  var wanted = false, busy = false;
  function free(part) { return !part.contains(document.activeElement) && !part.matches(":hover") && !part.querySelector("details[open]") && !(part.open); }
  function renew() {
    if (busy) { wanted = true; return; }
    busy = true;
    wanted = false;
    fetch(base + "/console", {headers: {Accept: "text/html"}}).then(function (r) {
      if (!r.ok) throw new Error(r.status);
      return r.text();
    }).then(function (html) {
      var page = new DOMParser().parseFromString(html, "text/html");
      document.querySelectorAll("[data-live]").forEach(function (part) {
        var next = page.querySelector("[data-live=" + part.dataset.live + "]");
        if (!next || !free(part)) { if (next) wanted = true; return; }
        part.replaceChildren.apply(part, Array.from(next.childNodes));
      });
      tick();
    }).catch(function () { wanted = true; }).then(function () { setTimeout(function () { busy = false; if (wanted) renew(); }, 2000); });
  }

  function add(e) {
    var l = JSON.parse(e.data), lines = document.getElementById("lines"), li = document.createElement("li");
    function put(tag, cls, text) { var n = document.createElement(tag); n.className = cls; n.textContent = text; li.append(n, " "); return n; }
    li.dataset.seq = l.seq;
    put("time", "", l.at.slice(0, 19).replace("T", " ") + " UTC").dateTime = l.at;
    put("span", "kind", l.kind);
    if (l.incident) put("span", "num", l.incident);
    li.append(document.createElement("br"));
    put("strong", "", l.what);
    put("span", "by", "by " + l.by);
    li.append(document.createElement("br"));
    put("span", "why", l.why);
    lines.prepend(li);
    while (lines.children.length > most) lines.lastElementChild.remove();
    renew();
  }

  var source = new EventSource(base + "/console/events?after=" + body.dataset.last), seen = "";
  source.addEventListener("timeline", add);
  source.addEventListener("cord", function (e) {
    var cord = JSON.parse(e.data);
    show(cord);
    if (seen && seen !== e.data) renew();
    seen = e.data;
  });
  source.onopen = function () { link.textContent = "Live."; };
  source.onerror = function () { link.textContent = "NOT LIVE: the line is cut. What you see is old; it is tried again."; };
})();
