// The console's behaviour: charts, keys, live tail. Everything works without it except those three.
"use strict";

(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // ---- charts: <div class="chart" data-chart='{"from":s,"step":s,"series":[{"label","colour","values":[…]}]}'>
  function stack(series) {
    const totals = new Array(series.length ? series[0].values.length : 0).fill(0);
    return series.map((one) => one.values.map((value, at) => (totals[at] += value)));
  }

  // 24-hour UTC labels; at midnight, and where a label spans days, the date instead.
  function timeLabels(_, ticks, __, ___, step) {
    return ticks.map((tick) => {
      const iso = new Date(tick * 1000).toISOString();
      if (step >= 86400 || iso.slice(11, 16) === "00:00") return iso.slice(5, 10);
      return step < 60 ? iso.slice(11, 19) : iso.slice(11, 16);
    });
  }

  function zoomTo(from, to) {
    const url = new URL(location.href);
    url.searchParams.set("since", new Date(from * 1000).toISOString());
    url.searchParams.set("until", new Date(to * 1000).toISOString());
    url.searchParams.delete("live");
    location.assign(url);
  }

  function draw(box) {
    const chart = JSON.parse(box.dataset.chart);
    const times = chart.series[0].values.map((_, at) => chart.from + at * chart.step);
    // Stacked bars: the tallest is painted first, so that each lower one covers its part.
    const sums = stack(chart.series).map((values, at) => ({ values, ...{ label: chart.series[at].label, colour: css(chart.series[at].colour) } })).reverse();
    const ends = uPlot.paths.bars({ size: [0.82, 60], align: 1 });
    const axis = { stroke: css("--soft"), font: "11px system-ui", grid: { stroke: css("--line"), width: 1 }, ticks: { show: false } };
    box.replaceChildren();
    const plot = new uPlot(
      {
        width: box.clientWidth - 14,
        height: box.clientHeight - 8,
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
        scales: { x: { time: true, range: () => [chart.from, chart.from + chart.step * times.length] }, y: { range: (_, low, high) => [0, Math.max(high * 1.12, 4)] } },
        axes: [{ ...axis, grid: { show: false }, size: 26, gap: 6, values: timeLabels }, { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6, 1e7], values: (_, ticks) => ticks.map((tick) => (tick >= 1e4 ? `${tick / 1e3}k` : tick)) }],
        series: [{}, ...sums.map((one) => ({ label: one.label, fill: one.colour, stroke: one.colour, width: 0, paths: ends, points: { show: false } }))],
        hooks: {
          setSelect: [(self) => {
            if (self.select.width > 4) zoomTo(self.posToVal(self.select.left, "x"), self.posToVal(self.select.left + self.select.width, "x"));
          }],
        },
      },
      [times, ...sums.map((one) => one.values)],
      box,
    );
    return plot;
  }

  function drawAll() {
    document.querySelectorAll(".chart[data-chart]").forEach(draw);
  }

  // ---- keys: / search, j k rows, Enter opens, g + letter pages, ? help
  const pages = { o: "/", a: "/alerts", l: "/logs", w: "/workloads", s: "/access", g: "/gaps", c: "/coverage" };
  let going = 0;

  function move(step) {
    const rows = [...document.querySelectorAll("main .rowlink")];
    const at = rows.indexOf(document.activeElement);
    const next = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
    if (next) next.focus();
  }

  function onKey(event) {
    const typing = event.target.closest("input, select, textarea");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (going && Date.now() - going < 1200 && pages[event.key]) {
      going = 0;
      location.assign(pages[event.key]);
    } else if (event.key === "g") going = Date.now();
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "?") document.getElementById("keys").showModal();
    else if (event.key === "/") document.querySelector("[data-search]")?.focus();
    else return;
    event.preventDefault();
  }

  // ---- live tail: stay at the end unless the reader scrolled up, keep the page bounded
  const MOST_LINES = 5000;

  function nearEnd() {
    return innerHeight + scrollY > document.documentElement.scrollHeight - 120;
  }

  function tail() {
    const lines = document.getElementById("lines");
    const state = document.getElementById("live");
    if (!lines || !state) return;
    let stick = true;
    addEventListener("scroll", () => (stick = nearEnd()), { passive: true });
    scrollTo(0, document.documentElement.scrollHeight);
    document.body.addEventListener("htmx:afterSettle", () => {
      const rows = lines.querySelectorAll(".line");
      for (let at = 0; at < rows.length - MOST_LINES; at++) rows[at].remove();
      if (stick) scrollTo(0, document.documentElement.scrollHeight);
    });
    const broken = (is) => () => {
      state.classList.toggle("broken", is);
      state.textContent = is ? "reconnecting" : "live";
      if (is) setTimeout(() => htmx.trigger(lines.querySelector(".poll"), "again"), 3000);
    };
    document.body.addEventListener("htmx:sendError", broken(true));
    document.body.addEventListener("htmx:responseError", broken(true));
    document.body.addEventListener("htmx:afterSwap", broken(false));
  }

  // ---- forms: leave empty fields out, so that a state's address is short
  function onSubmit(event) {
    if (event.target.method !== "get") return;
    event.target.querySelectorAll("input, select").forEach((one) => {
      if (one.value === "") one.disabled = true;
    });
  }

  document.addEventListener("keydown", onKey);
  document.addEventListener("submit", onSubmit);
  addEventListener("pageshow", () => document.querySelectorAll("form [disabled]").forEach((one) => (one.disabled = false)));
  document.querySelectorAll("select[data-submit]").forEach((one) => one.addEventListener("change", () => one.form.requestSubmit()));
  document.querySelector("[data-close]")?.addEventListener("click", () => document.getElementById("keys").close());
  drawAll();
  tail();
  document.querySelectorAll(".lines.box").forEach((box) => {
    const here = box.querySelector(".marked");
    if (here) box.scrollTop = here.offsetTop - box.offsetTop - box.clientHeight / 2;
  });
  let resizing;
  addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(drawAll, 120); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
