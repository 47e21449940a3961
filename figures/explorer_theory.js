// The theory of sampling designs for a browser: what schemes take, and the best table.
// tests/figures/test_explorer.py compares every number with the package theory.
// eslint-disable-next-line no-unused-vars
const apwTheory = (() => {
  "use strict";

  // Advantages [a+, a-] of a group of n responses whose share m is correct; q stands for 1 - m.
  const byEffectiveWeight = (effective) => (m, q, n, options) => {
    const value = effective(m, q, options);
    return [m > 0 && q > 0 ? value / m : 0, q > 0 ? value / q : 0];
  };
  const linear = byEffectiveWeight((m, q) => q);
  const SCHEMES = {
    rloo: (m, q, n) => (n < 2 ? [0, 0] : Number.isFinite(n) ? [(q * n) / (n - 1), (m * n) / (n - 1)] : [q, m]),
    grpo: (m, q) => (m > 0 && q > 0 ? [Math.sqrt(q / m), Math.sqrt(m / q)] : [0, 0]),
    linear_r: linear,
    sqrt_r: byEffectiveWeight((m, q) => Math.sqrt(q)),
    plateau_r: byEffectiveWeight((m, q, { threshold }) => (threshold < 1 ? Math.min(1, q / (1 - threshold)) : 1)),
    uniform_r: byEffectiveWeight(() => 1),
    maxrl: (m, q, n, options) => (m > 0 ? linear(m, q, n, options) : [0, 0]),
    psr: (m) => [m > 0 ? 1 : 0, 0],
    nsr: (m, q) => [0, q > 0 ? 1 : 0],
    w_reinforce: (m, q) => [m > 0 ? 0.1 : 0, q > 0 ? 1 : 0],
  };

  const VELOCITIES = {
    mirror: (p, q) => p * q,
    softmax_gradient: (p, q) => 2 * (p * q) ** 2,
  };

  // Probability that a group of n is used; small p keeps its digits.
  const someRight = (p, n) => -Math.expm1(n * Math.log1p(-p));
  const ACCEPTANCE = {
    fixed: () => 1,
    until_any: someRight,
    until_mixed: (p, n, q) => (p < q ? someRight(p, n) - p ** n : someRight(q, n) - q ** n),
  };

  const logit = (p) => Math.log(p) - Math.log1p(-p);
  const expit = (x) => 1 / (1 + Math.exp(-x));
  const dot = (a, b) => { let sum = 0; for (let i = 0; i < a.length; i++) sum += a[i] * b[i]; return sum; };

  const logFactorials = [0];
  function logChoose(n, k) {
    for (let i = logFactorials.length; i <= n; i++) logFactorials.push(logFactorials[i - 1] + Math.log(i));
    return logFactorials[n] - logFactorials[k] - logFactorials[n - k];
  }

  // Nodes and weights of Gauss-Legendre quadrature on [-1, 1], by Newton's method.
  function gaussLegendre(order) {
    const nodes = [], weights = [];
    for (let i = 1; i <= order; i++) {
      let x = Math.cos((Math.PI * (i - 0.25)) / (order + 0.5));
      let slope = 1;
      for (let step = 0; step < 50; step++) {
        let [before, value] = [1, x];
        for (let n = 2; n <= order; n++) {
          [before, value] = [value, ((2 * n - 1) * x * value - (n - 1) * before) / n];
        }
        slope = (order * (x * value - before)) / (x * x - 1);
        const change = value / slope;
        x -= change;
        if (Math.abs(change) < 1e-16) break;
      }
      nodes.push(x);
      weights.push(2 / ((1 - x * x) * slope * slope));
    }
    return [nodes, weights];
  }

  // Points with weights for integrals from the first to the last end, in panels of one width.
  function panels(ends, width, [nodes, weights]) {
    const points = [];
    for (let i = 1; i < ends.length; i++) {
      const count = Math.max(1, Math.ceil((ends[i] - ends[i - 1]) / width));
      const half = (ends[i] - ends[i - 1]) / (2 * count);
      for (let panel = 0; panel < count; panel++) {
        const centre = ends[i - 1] + half * (2 * panel + 1);
        nodes.forEach((node, j) => points.push([centre + half * node, half * weights[j]]));
      }
    }
    return points;
  }
  const RULE = gaussLegendre(16);
  const SIZE_RULE = gaussLegendre(6);
  const EXACT_SIZES = 64;

  function quadrature(start, target, kinks) {
    const inner = kinks.filter((kink) => start < kink && kink < target);
    return panels([start, ...inner, target].map(logit), 1.5, RULE).map(([x, width]) => {
      const [p, q] = [expit(x), expit(-x)];
      return { p, q, share: width * p * q };
    });
  }

  // Group sizes n, shares m of correct responses, and multiplicities of what an update can be made of.
  function outcomesOf({ design, group_size: size, start }) {
    if (design === "population") return { sizes: [], shares: [] };
    if (design !== "first_success") {
      const sizes = new Array(size + 1).fill(size);
      return { sizes, shares: sizes.map((n, k) => k / n) };
    }
    // Until the first success: n - 1 wrong ones before it. Beyond EXACT_SIZES the sum is an integral in ln n.
    const last = Math.max(60 / start, 4 * EXACT_SIZES);
    const tail = panels([Math.log(EXACT_SIZES + 0.5), Math.log(last)], 1, SIZE_RULE);
    const sizes = [...Array.from({ length: EXACT_SIZES + 1 }, (_, i) => i + 1), ...tail.map(([x]) => Math.exp(x))];
    const counts = sizes.map((n, i) => {
      if (i > EXACT_SIZES) return tail[i - EXACT_SIZES - 1][1] * n;
      return i === EXACT_SIZES - 1 ? 1 - 1 / 24 : i === EXACT_SIZES ? 1 / 24 : 1;
    });
    return { sizes, counts, shares: sizes.map((n) => 1 / n) };
  }

  // What a+ and a- of each outcome add to the drift at p, and the responses an update costs there.
  function realised({ design, group_size: size }, outcomes, p, q) {
    const many = outcomes.sizes.length;
    const [right, wrong] = [new Float64Array(many), new Float64Array(many)];
    if (design === "first_success") {
      outcomes.sizes.forEach((n, k) => {
        const chance = outcomes.counts[k] * Math.exp((n - 1) * Math.log1p(-p));
        right[k] = chance / n;
        wrong[k] = (chance * (p / q) * (n - 1)) / n;
      });
    }
    if (design === "first_success" || design === "population") return { right, wrong, responses: 1 / p };
    const accepted = ACCEPTANCE[design](p, size, q);
    const [a, b] = [Math.log(p), Math.log(q)];
    for (let j = 0; j < size; j++) {
      const chance = Math.exp(logChoose(size - 1, j) + j * a + (size - 1 - j) * b) / accepted;
      if (j + 1 < size || design !== "until_mixed") right[j + 1] = chance;
      if (j > 0 || design === "fixed") wrong[j] = chance;
    }
    return { right, wrong, responses: size / accepted };
  }

  function tableOf(scheme, outcomes, problem) {
    const [positive, negative] = [[], []];
    outcomes.sizes.forEach((n, k) => {
      const m = outcomes.shares[k];
      const [a, b] = SCHEMES[scheme](m, 1 - m, n, problem);
      positive.push(m > 0 ? a : 0); // the advantage of no response
      negative.push(m < 1 ? b : 0);
    });
    return { positive, negative };
  }

  const drift = ({ right, wrong }, { positive, negative }) => dot(right, positive) + dot(wrong, negative);
  const square = (values) => values.map((value) => value * value);

  // Solves a x = b for a symmetric positive definite matrix, given as rows and overwritten.
  function cholesky(a, b) {
    const n = b.length;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = a[i][j];
        for (let k = 0; k < j; k++) sum -= a[i][k] * a[j][k];
        a[i][j] = i === j ? Math.sqrt(sum) : sum / a[j][j];
      }
    }
    const x = Float64Array.from(b);
    for (let i = 0; i < n; i++) {
      for (let k = 0; k < i; k++) x[i] -= a[i][k] * x[k];
      x[i] /= a[i][i];
    }
    for (let i = n - 1; i >= 0; i--) {
      for (let k = i + 1; k < n; k++) x[i] -= a[k][i] * x[k];
      x[i] /= a[i][i];
    }
    return x;
  }

  // The table with the least time times energy, by Newton's method on T + E as theory.best_tables does:
  // sum of u (c + s.a^2) / f.a over the points, with drift f.a and second moment s.a^2.
  function bestTable(points, first) {
    const many = first.positive.length;
    const all = points.map(({ right, wrong }) => [...right, ...wrong]);
    const used = Array.from({ length: 2 * many }, (_, j) => j).filter((j) => all.some((row) => row[j] > 1e-180));
    const features = all.map((row) => Float64Array.from(used, (j) => row[j]));
    const squares = points.map(({ p, q }, i) => features[i].map((value, j) => value * (used[j] < many ? p : q)));
    const n = used.length;
    let entries = Float64Array.from(used, (j) => (j < many ? first.positive[j] : first.negative[j - many]));
    const parts = (tried) => {
      let [time, energy] = [0, 0];
      const squared = square(tried);
      for (let i = 0; i < points.length; i++) {
        const omega = dot(features[i], tried);
        if (!(omega > 0)) return [Infinity, Infinity];
        time += (points[i].flow * points[i].cost) / omega;
        energy += (points[i].flow * dot(squares[i], squared)) / omega;
      }
      return [time, energy];
    };
    for (let iteration = 0; iteration < 60; iteration++) {
      const [time, energy] = parts(entries);
      const scale = Math.sqrt(time / energy);
      entries = entries.map((value) => value * scale); // the best scale: T = E
      const value = 2 * Math.sqrt(time * energy);
      const [noise, pull] = [new Float64Array(n), new Float64Array(n)];
      const squared = square(entries);
      const hessian = Array.from({ length: n }, () => new Float64Array(n));
      for (let i = 0; i < points.length; i++) {
        const [f, s] = [features[i], squares[i]];
        const omega = dot(f, entries);
        const slowness = points[i].flow / omega;
        const total = points[i].cost + dot(s, squared);
        const steep = (2 * slowness * total) / omega ** 2, mixed = (2 * slowness) / omega;
        for (let j = 0; j < n; j++) {
          noise[j] += s[j] * slowness;
          pull[j] += (f[j] * slowness * total) / omega;
          const [g, h, row] = [steep * f[j] - mixed * entries[j] * s[j], mixed * f[j], hessian[j]];
          for (let k = 0; k <= j; k++) row[k] += g * f[k] - h * entries[k] * s[k];
        }
      }
      const unit = noise.map((v) => 1 / Math.sqrt(v));
      const slope = unit.map((u, j) => u * (2 * entries[j] * noise[j] - pull[j]));
      if (Math.max(...slope.map(Math.abs)) < 1e-10 * value) break;
      for (let j = 0; j < n; j++) for (let k = 0; k <= j; k++) hessian[j][k] *= unit[j] * unit[k];
      for (let j = 0; j < n; j++) hessian[j][j] += 2 + 1e-12;
      const step = cholesky(hessian, slope.map((v) => -v)).map((v, j) => v * unit[j]);
      const decline = dot(slope, step.map((v, j) => v / unit[j]));
      let length = 1, tried = entries;
      while (length > 1e-10) {
        tried = entries.map((v, j) => v + length * step[j]);
        const [t, e] = parts(tried);
        if (t + e <= value + 1e-4 * length * decline) break;
        length /= 2;
      }
      if (!(length > 1e-10)) break;
      entries = tried;
    }
    const [positive, negative] = [new Array(many).fill(0), new Array(many).fill(0)];
    used.forEach((j, i) => { if (j < many) positive[j] = entries[i]; else negative[j - many] = entries[i]; });
    const [time, energy] = parts(entries);
    return { positive, negative, product: time * energy };
  }

  // The problem: {start, target, design, group_size, update, response, dynamics, threshold}.
  // Gives for every scheme its excess over the best table (energy) and over the best weight (weight) with
  // its weight budget, and the same of the optimum, whose table is best; the population has no tables.
  function solve(problem) {
    const population = problem.design === "population";
    const outcomes = outcomesOf(problem);
    const points = quadrature(problem.start, problem.target, population ? [problem.threshold] : []);
    let norm = 0;
    for (const point of points) {
      const velocity = VELOCITIES[problem.dynamics](point.p, point.q);
      Object.assign(point, realised(problem, outcomes, point.p, point.q));
      point.cost = problem.update + problem.response * point.responses;
      point.flow = point.share / velocity;
      norm += point.share * Math.sqrt(point.cost / velocity);
    }
    const velocity = VELOCITIES[problem.dynamics];
    const cost = (p, q) => problem.update + problem.response * realised(problem, outcomes, p, q).responses;
    const tables = Object.fromEntries(Object.keys(SCHEMES).map((name) => [name, tableOf(name, outcomes, problem)]));
    const best = population ? null : bestTable(points, tables.grpo);
    const weightAt = (table, name) => (p, q) => {
      if (!population) return drift(realised(problem, outcomes, p, q), table);
      const [a, b] = SCHEMES[name](p, q, Infinity, problem);
      return a + b;
    };

    function measure(table, name) {
      let [time, weight, energy] = [0, 0, 0];
      for (const point of points) {
        const omega = population ? weightAt(table, name)(point.p, point.q) : drift(point, table);
        if (!(omega > 0)) return { energy: Infinity, weight: Infinity, budget: 1 };
        const second = point.p * dot(point.right, square(table.positive)) + point.q * dot(point.wrong, square(table.negative));
        time += (point.flow * point.cost) / omega;
        weight += point.share * omega;
        energy += (point.flow * second) / omega;
      }
      const excess = (time * weight) / norm ** 2;
      return { energy: population ? excess : (time * energy) / best.product, weight: excess, budget: weight };
    }

    const schemes = {};
    for (const [name, table] of Object.entries(tables)) {
      schemes[name] = { ...measure(table, name), table, at: weightAt(table, name) };
    }
    const optimum = population
      ? { budget: 1, at: (p, q) => Math.sqrt(cost(p, q) / velocity(p, q)) / norm }
      : { ...measure(best), at: weightAt(best) };
    return { schemes, optimum, best, outcomes };
  }

  return { SCHEMES, logit, expit, outcomesOf, realised, tableOf, solve };
})();
