// Controls and pictures of the explorer; the numbers come from explorer_theory.js.
(() => {
  "use strict";
  const root = document.getElementById("explorer");
  const settings = JSON.parse(document.getElementById("explorer-settings").textContent);
  const form = root.querySelector("form");
  const { logit, expit } = apwTheory;
  const identity = (x) => x;
  // Ranges of the numbers, and how a slider runs through them.
  const NUMBERS = {
    start: { low: 1e-4, high: 0.95, to: logit, from: expit, words: "success at the start" },
    target: { low: 0.001, high: 0.999, to: logit, from: expit, words: "success to reach" },
    group_size: { low: 2, high: 256, to: Math.log2, from: (x) => Math.round(2 ** x), words: "responses in a group" },
    threshold: { low: 0, high: 1, to: identity, from: (x) => Number(x.toFixed(2)), words: "threshold" },
    update: { low: 0, high: 1e6, words: "price of an update" },
    response: { low: 0, high: 1e6, words: "price of a response" },
  };
  const TICKS = [0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999];
  const POINTS = 161;
  const shown = new Set(settings.schemes.filter((scheme) => scheme.drawn).map((scheme) => scheme.name));
  const titles = Object.fromEntries(settings.schemes.map((scheme) => [scheme.name, scheme.title]));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const theme = () => (dark.matches ? "dark" : "light");

  const digits = (value, count = 3) => (Number.isFinite(value) ? String(Number(value.toPrecision(count))) : "∞");
  // Excess times with the decimals that matter, never in powers of ten.
  const times = (value) =>
    !Number.isFinite(value) ? "∞" : value < 10 ? value.toFixed(3) : value < 1000 ? value.toFixed(1) : digits(value, 4);

  function setUp() {
    for (const [name, range] of Object.entries(NUMBERS)) {
      const box = form.elements[name];
      box.value = settings.problem[name];
      const slider = form.querySelector(`[data-for="${name}"]`);
      if (!slider) continue;
      Object.assign(slider, { min: range.to(range.low), max: range.to(range.high), step: "any", value: range.to(settings.problem[name]) });
      slider.addEventListener("input", () => {
        box.value = digits(range.from(Number(slider.value)), name === "target" ? 4 : 3);
        update();
      });
      box.addEventListener("input", () => { slider.value = range.to(Number(box.value)); });
    }
    for (const name of ["clock", "dynamics"]) form.elements[name].value = settings.problem[name];
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", (event) => { if (event.target.type !== "range") update(); });
    root.addEventListener("change", (event) => { if (event.target.name === "explorer-kind") update(); });
    dark.addEventListener("change", () => { chips(); update(); });
    chips();
    update();
  }

  function chips() {
    const sample = (color, width, dashes) => {
      const line = document.createElement("span");
      line.innerHTML = `<svg viewBox="0 0 32 10" aria-hidden="true"><line x1="0" x2="32" y1="5" y2="5" stroke="${color}" stroke-width="${width}" stroke-dasharray="${dashes}"/></svg>`;
      return line;
    };
    const optimal = document.createElement("span");
    optimal.className = "optimal";
    optimal.append(sample(settings.colors[theme()].faint, 9, "none"), "optimal");
    const choices = settings.schemes.filter((scheme) => scheme.curve).map((scheme) => {
      const label = document.createElement("label");
      const tick = document.createElement("input");
      Object.assign(tick, { type: "checkbox", checked: shown.has(scheme.name), name: `draw-${scheme.name}` });
      tick.addEventListener("change", () => { tick.checked ? shown.add(scheme.name) : shown.delete(scheme.name); update(); });
      const dashes = scheme.dash === "solid" ? "none" : scheme.dash.replaceAll("px", "");
      label.append(tick, sample(scheme.color[theme()], 2.5, dashes), scheme.title);
      return label;
    });
    root.querySelector(".chips").replaceChildren(optimal, ...choices);
  }

  // The problem that the controls ask for, or a sentence on what is wrong with it.
  function read() {
    const problem = { clock: form.elements.clock.value, dynamics: form.elements.dynamics.value };
    for (const [name, { low, high, words }] of Object.entries(NUMBERS)) {
      const text = form.elements[name].value;
      const value = Number(text);
      if (text.trim() === "" || !(value >= low && value <= high)) {
        return `The ${words} must lie between ${low} and ${high}.`;
      }
      problem[name] = value;
    }
    if (!Number.isInteger(problem.group_size)) return "The responses in a group must be a whole number.";
    if (!(problem.target > problem.start)) return "The success to reach must lie above the success at the start.";
    if (problem.clock === "affine" && problem.update + problem.response === 0) return "One of the two prices must be above 0.";
    return problem;
  }

  function update() {
    const problem = read();
    const complaint = root.querySelector(".complaint");
    complaint.hidden = typeof problem !== "string";
    complaint.textContent = typeof problem === "string" ? problem : "";
    form.querySelector("[data-only]").hidden = form.elements.clock.value !== "affine";
    if (typeof problem === "string") return;
    const solution = apwTheory.solve(problem);
    answer(problem, solution);
    table(problem, solution);
    weights(problem, solution);
    excess(problem, solution);
    finite(problem);
  }

  const best = (solution, field) =>
    Object.keys(solution.schemes).filter((name) => name in titles)
      .reduce((a, b) => (solution.schemes[b][field] < solution.schemes[a][field] ? b : a));

  function answer(problem, solution) {
    const [limit, finiteBest] = [best(solution, "limit"), best(solution, "finite")];
    const { grpo } = solution.schemes;
    const ratio = solution.optimal(problem.start, 1 - problem.start) / solution.optimal(problem.target, 1 - problem.target);
    const found = solution.schemes[limit].limit;
    const named = found < 1 + 1e-9 ? `It is the weight of ${titles[limit]}.` : `${titles[limit]} comes closest, at ${times(found)} times the optimal time.`;
    const weigh = ratio >= 1 ? `${digits(ratio)} times as much as` : `1/${digits(1 / ratio)} of`;
    root.querySelector(".answer").textContent =
      `From ${problem.start} to ${problem.target}, the optimal weight counts a prompt at ${problem.start} ${weigh} one at ${problem.target}. ${named} ` +
      `GRPO takes ${times(grpo.limit)} times the optimal time in the limit and ${times(grpo.finite)} times in groups of ${problem.group_size}; ` +
      `the least of all schemes in such groups is ${titles[finiteBest]}’s, ${times(solution.schemes[finiteBest].finite)}.`;
  }

  function table(problem, solution) {
    root.querySelector("th.finite").textContent = `M = ${problem.group_size}`;
    const rows = settings.schemes.map((scheme) => ({ scheme, values: solution.schemes[scheme.name] }));
    rows.sort((a, b) => a.values.finite - b.values.finite);
    root.querySelector("tbody").replaceChildren(...rows.map(({ scheme, values }) => {
      const row = document.createElement("tr");
      row.dataset.scheme = scheme.name;
      const cells = [scheme.title, scheme.formula, times(values.limit), times(values.finite), digits(values.finite * solution.time, 4)];
      cells.forEach((text, i) => {
        const cell = document.createElement("td");
        if (i > 1) cell.className = "number";
        cell.textContent = text;
        row.append(cell);
      });
      return row;
    }));
  }

  const drawn = () => settings.schemes.filter((scheme) => scheme.curve && shown.has(scheme.name));

  function curve(name, grid, values, color, line = {}) {
    return {
      x: grid.map(({ x }) => x), y: values, name, mode: "lines", line: { color, width: 2, ...line },
      customdata: grid.map(({ p }) => digits(p)), hovertemplate: `${name}: %{y:.3g} at ρ = %{customdata}<extra></extra>`,
    };
  }

  function grid(low, high) {
    const [left, right] = [logit(low), logit(high)];
    return Array.from({ length: POINTS }, (_, i) => {
      const x = left + ((right - left) * i) / (POINTS - 1);
      return { x, p: expit(x), q: expit(-x) };
    });
  }

  function weights(problem, solution) {
    const points = grid(problem.start, problem.target);
    const optimal = points.map(({ p, q }) => solution.optimal(p, q));
    const traces = drawn().map((scheme) => curve(
      scheme.title, points,
      points.map(({ p, q }) => apwTheory.weight(scheme.name, p, q, problem) / solution.schemes[scheme.name].budget),
      scheme.color[theme()], { dash: scheme.dash },
    ));
    const wide = curve("Optimal", points, optimal, settings.colors[theme()].faint, { width: 9 });
    draw("explorer-weights", [wide, ...traces], {
      xaxis: successAxis(problem.start, problem.target), yaxis: { ...plainLog(traces.concat(wide).flatMap((trace) => trace.y)), title: { text: "weight ω(ρ), unit budget" } },
    });
  }

  function excess(problem, solution) {
    const rows = settings.schemes.filter((scheme) => scheme.curve);
    rows.sort((a, b) => solution.schemes[b.name].finite - solution.schemes[a.name].finite);
    const names = rows.map((scheme) => scheme.title);
    const values = (field) => rows.map((scheme) => solution.schemes[scheme.name][field]);
    const marks = (name, field, marker) => ({
      x: values(field), y: names, name, mode: "markers", cliponaxis: false,
      marker: { size: 11, color: rows.map((scheme) => scheme.color[theme()]), ...marker },
      hovertemplate: `%{y}, ${name}: %{x:.3f}<extra></extra>`,
    });
    const lines = {
      x: rows.flatMap((scheme) => [solution.schemes[scheme.name].limit, solution.schemes[scheme.name].finite, null]),
      y: rows.flatMap((scheme) => [scheme.title, scheme.title, null]),
      mode: "lines", line: { color: settings.colors[theme()].grid, width: 3 }, hoverinfo: "skip", showlegend: false,
    };
    const top = Math.max(...values("limit"), ...values("finite"));
    draw("explorer-excess", [
      lines, marks("M → ∞", "limit", { symbol: "circle-open", line: { width: 2.5 } }),
      marks(`M = ${problem.group_size}`, "finite", { symbol: "circle" }),
    ], {
      xaxis: {
        type: "log", range: [-0.02, Math.max(Math.log10(top) * 1.06, 0.05)], title: { text: "time to the target, 1 = optimal" },
        tickvals: excessTicks(top), ticktext: excessTicks(top).map(String),
      },
      yaxis: { categoryorder: "array", categoryarray: names, automargin: true, type: "category" },
      showlegend: true, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    });
  }

  function excessTicks(top) {
    const fine = [1, 1.02, 1.04, 1.06, 1.08, 1.1, 1.15, 1.2, 1.25], middle = [1, 1.1, 1.2, 1.3, 1.5, 1.75, 2, 2.5, 3, 4];
    const coarse = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10000, 100000];
    return (top < 1.25 ? fine : top < 4 ? middle : coarse).filter((tick) => tick <= top * 1.1);
  }

  function finite(problem) {
    const effective = root.querySelector("[name=explorer-kind]:checked").value === "effective";
    const points = grid(Math.min(problem.start, 0.001), Math.max(problem.target, 0.999));
    const scale = ({ p, q }) => (effective ? p * q : 1);
    const traces = drawn().flatMap((scheme) => {
      const color = scheme.color[theme()];
      const at = points.map((point) => apwTheory.expectedWeight(scheme.name, problem.group_size, point.p, point.q, problem) * scale(point));
      const limit = points.map((point) => apwTheory.weight(scheme.name, point.p, point.q, problem) * scale(point));
      return [
        curve(`${scheme.title}, M → ∞`, points, limit, color, { width: 1.2, dash: "1px,3px" }),
        curve(`${scheme.title}, M = ${problem.group_size}`, points, at, color, { dash: scheme.dash }),
      ];
    });
    const axis = effective
      ? { title: { text: "effective weight" }, rangemode: "tozero" }
      : { ...plainLog([0.9, 3 * problem.group_size]), title: { text: "expected weight" } };
    draw("explorer-finite", traces, { xaxis: successAxis(points[0].p, points.at(-1).p), yaxis: axis });
  }

  function successAxis(low, high) {
    const ticks = TICKS.filter((tick) => tick >= low * 0.999 && tick <= high * 1.0001);
    const kept = ticks.length > 2 ? ticks : [low, ...ticks.filter((tick) => tick > low * 1.5 && tick < high * 0.95), high];
    return {
      range: [logit(low), logit(high)], tickvals: kept.map(logit), ticktext: kept.map(String),
      title: { text: "success probability ρ" }, zeroline: false,
    };
  }

  // A logarithmic axis over the values, with plain numbers on it.
  function plainLog(values) {
    const [low, high] = [Math.log10(Math.min(...values)) - 0.05, Math.log10(Math.max(...values)) + 0.1];
    const decades = Array.from({ length: 16 }, (_, i) => 10 ** (i - 8));
    const steps = high - low > 3 ? [1] : [1, 2, 5];
    const ticks = decades.flatMap((decade) => steps.map((step) => Number((step * decade).toPrecision(1))));
    return { type: "log", range: [low, high], tickvals: ticks, ticktext: ticks.map(String) };
  }

  function draw(place, traces, layout) {
    const { ink, grid: faint } = settings.colors[theme()];
    const axis = (given) => ({ gridcolor: faint, linecolor: faint, zeroline: false, ...given });
    Plotly.react(place, traces, {
      margin: { l: 62, r: 14, t: 14, b: 48 }, showlegend: false, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif', size: 13, color: ink },
      hovermode: "closest", dragmode: false, ...layout, xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis),
    }, { responsive: true, displayModeBar: false });
  }

  setUp();
})();
