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
    group_size: { low: 2, high: 128, to: Math.log2, from: (x) => Math.round(2 ** x), words: "responses in a group" },
    threshold: { low: 0, high: 1, to: identity, from: (x) => Number(x.toFixed(2)), words: "threshold" },
    update: { low: 0, high: 1e6, words: "cost of an update" },
    response: { low: 0, high: 1e6, words: "cost of a response" },
  };
  const TICKS = [0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999];
  const POINTS = 121;
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
        later();
      });
      box.addEventListener("input", () => { slider.value = range.to(Number(box.value)); });
    }
    for (const name of ["design", "dynamics"]) form.elements[name].value = settings.problem[name];
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", (event) => { if (event.target.type !== "range" && event.target.type !== "checkbox") update(); });
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
    const problem = { design: form.elements.design.value, dynamics: form.elements.dynamics.value };
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
    if (problem.update + problem.response === 0) return "One of the two costs must be above 0.";
    return problem;
  }

  // While a slider moves, at most one computation waits for the next frame.
  let waiting = false;
  function later() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; update(); });
  }

  let known = ["", null]; // the last problem and its solution
  function solved(problem) {
    const key = JSON.stringify(problem);
    if (known[0] !== key) known = [key, apwTheory.solve(problem)];
    return known[1];
  }

  function update() {
    const problem = read();
    const complaint = root.querySelector(".complaint");
    complaint.hidden = typeof problem !== "string";
    complaint.textContent = typeof problem === "string" ? problem : "";
    const design = form.elements.design.value;
    form.querySelector("[data-groups]").hidden = !["fixed", "until_any", "until_mixed"].includes(design);
    root.querySelector("[data-tables]").hidden = design === "population";
    if (typeof problem === "string") return;
    const solution = solved(problem);
    answer(problem, solution);
    table(problem, solution);
    weights(problem, solution);
    excess(solution);
    if (design !== "population") advantages(problem, solution);
  }

  const sorted = (solution) => settings.schemes
    .map((scheme) => ({ scheme, ...solution.schemes[scheme.name] })).sort((a, b) => a.energy - b.energy);

  // Outcome whose share of correct responses is nearest to a half, and the advantage there.
  const unit = ({ shares }, positive) =>
    positive[shares.reduce((a, m, k) => (Math.abs(m - 0.5) < Math.abs(shares[a] - 0.5) ? k : a), 0)];

  function answer(problem, solution) {
    const [first] = sorted(solution);
    const grpo = solution.schemes.grpo.energy;
    const population = problem.design === "population";
    const reference = population ? "the optimal weight’s time" : "the best table’s time and noise together";
    const design = settings.designs[problem.design];
    const least = first.energy < 1 + 1e-6 ? `${first.scheme.title} is optimal.` : first.scheme.name === "grpo" ? "No other scheme takes less." : `The least of the schemes is ${first.scheme.title}’s, ${times(first.energy)}.`;
    let penalty = "";
    if (problem.design === "fixed") {
      const all = -solution.best.negative[0] / unit(solution.outcomes, solution.best.positive);
      penalty = ` The best table gives the responses of an all-wrong group an advantage of ${digits(all, 2).replace("-", "−")}, where a correct response in a group half right has 1.`;
    }
    root.querySelector(".answer").textContent =
      `From ${problem.start} to ${problem.target}, sampling ${design}: GRPO takes ${times(grpo)} times ${reference}. ${least}${penalty}`;
  }

  function table(problem, solution) {
    root.querySelector("th.energy").textContent = problem.design === "population" ? "time" : "time × energy";
    root.querySelector("tbody").replaceChildren(...sorted(solution).map(({ scheme, energy, weight }) => {
      const row = document.createElement("tr");
      row.dataset.scheme = scheme.name;
      [scheme.title, scheme.formula, times(energy), times(weight)].forEach((text, i) => {
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
    const scaled = ({ at, budget }) => points.map(({ p, q }) => at(p, q) / budget);
    const traces = drawn().map((scheme) => curve(
      scheme.title, points, scaled(solution.schemes[scheme.name]), scheme.color[theme()], { dash: scheme.dash },
    ));
    const wide = curve("Optimal", points, scaled(solution.optimum), settings.colors[theme()].faint, { width: 9 });
    draw("explorer-weights", [wide, ...traces], {
      xaxis: successAxis(problem.start, problem.target),
      yaxis: { ...plainLog(traces.concat(wide).flatMap((trace) => trace.y)), title: { text: "expected weight, ∫ω dρ = 1" } },
    });
  }

  function excess(solution) {
    const rows = sorted(solution).filter(({ energy }) => Number.isFinite(energy)).reverse();
    const names = rows.map(({ scheme }) => scheme.title);
    const values = rows.map(({ energy }) => energy);
    const top = Math.max(...values, 1.05);
    draw("explorer-excess", [{
      type: "bar", orientation: "h", base: 1, x: values.map((value) => value - 1), y: names, customdata: values.map(times),
      marker: { color: rows.map(({ scheme }) => scheme.color[theme()]) }, text: values.map(times), textposition: "outside",
      cliponaxis: false, hovertemplate: "%{y}: %{customdata}<extra></extra>",
    }], {
      xaxis: {
        type: "log", range: [0, Math.log10(top) * 1.18], title: { text: "excess, 1 = optimal" },
        tickvals: excessTicks(top), ticktext: excessTicks(top).map(String),
      },
      yaxis: { categoryorder: "array", categoryarray: names, automargin: true, type: "category", showgrid: false },
      bargap: 0.35,
    });
  }

  function excessTicks(top) {
    const fine = [1, 1.02, 1.04, 1.06, 1.08, 1.1, 1.15, 1.2, 1.25], middle = [1, 1.1, 1.2, 1.3, 1.5, 1.75, 2, 2.5, 3, 4];
    const coarse = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10000, 100000];
    return (top < 1.25 ? fine : top < 4 ? middle : coarse).filter((tick) => tick <= top * 1.1);
  }

  // Advantages over the share of correct responses in a group, or over the responses until the first success.
  function advantages(problem, solution) {
    const { outcomes, best } = solution;
    const single = problem.design === "first_success";
    const x = single ? outcomes.sizes : outcomes.shares;
    const usable = x.map((_, k) => k).filter((k) => (single ? outcomes.sizes[k] <= 60 / problem.start
      : (problem.design === "fixed" || k > 0) && (problem.design !== "until_mixed" || k < problem.group_size)));
    const side = (name, values, sign, given, keep, line) => ({
      x: usable.filter(keep).map((k) => x[k]), y: usable.filter(keep).map((k) => (sign * values[k]) / given), name, mode: "lines",
      line: { width: 2, ...line }, hovertemplate: `${name}: %{y:.3g}<extra></extra>`,
    });
    const both = (name, { positive, negative }, line) => {
      const given = unit(outcomes, positive) || unit(outcomes, negative);
      return [
        side(`${name}, correct`, positive, 1, given, (k) => outcomes.shares[k] > 0, line),
        side(`${name}, wrong`, negative, -1, given, (k) => outcomes.shares[k] < 1, line),
      ];
    };
    const traces = [
      ...both("Best table", best, { color: settings.colors[theme()].faint, width: 9 }),
      ...drawn().flatMap((scheme) => both(scheme.title, solution.schemes[scheme.name].table, { color: scheme.color[theme()], dash: scheme.dash })),
    ];
    const axis = single
      ? { ...plainLog([1, Math.min(60 / problem.start, 1e4)]), title: { text: "responses to the first success" } }
      : { range: [0, 1], title: { text: "share of correct responses" } };
    draw("explorer-advantages", traces, { xaxis: axis, yaxis: { range: [-5, 5], title: { text: "advantage" }, zeroline: true } });
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
