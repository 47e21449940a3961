// The theory's formulas for a browser: optimal weights, excess times, finite groups.
// tests/figures/test_explorer.py compares every function with the package theory.
// eslint-disable-next-line no-unused-vars
const apwTheory = (() => {
  "use strict";

  // Effective weights e(p) = w(p) p (1 - p); q stands for 1 - p. A number is a constant weight.
  const SCHEMES = {
    rloo: 1,
    grpo: (p, q) => Math.sqrt(p * q),
    linear_r: (p, q) => q,
    sqrt_r: (p, q) => Math.sqrt(q),
    plateau_r: (p, q, options) => (options.threshold < 1 ? Math.min(1, q / (1 - options.threshold)) : 1),
    uniform_r: () => 1,
    psr: 1,
    nsr: 1,
    w_reinforce: 1.1,
    maxrl: (p, q) => q,
  };
  const WITHOUT_ALL_WRONG = new Set(["maxrl"]); // ignore groups in which no response is correct

  const CLOCKS = {
    updates: () => 1,
    responses: (p) => 1 / p,
    affine: (p, q, options) => options.update + options.response / p,
    any_success: (p, q, options) => -1 / Math.expm1(options.group_size * Math.log1p(-p)),
    mixed_group: (p, q, options) => {
      const [rare, common] = p < q ? [p, q] : [q, p];
      const size = options.group_size;
      return 1 / (-Math.expm1(size * (rare === p ? Math.log1p(-p) : Math.log(common))) - rare ** size);
    },
  };

  const VELOCITIES = {
    mirror: (p, q) => p * q,
    softmax_gradient: (p, q) => 2 * (p * q) ** 2,
  };

  const logit = (p) => Math.log(p) - Math.log1p(-p);
  const expit = (x) => 1 / (1 + Math.exp(-x));

  function weight(scheme, p, q, options) {
    const effective = SCHEMES[scheme];
    return typeof effective === "number" ? effective : effective(p, q, options) / (p * q);
  }

  // Bernstein coefficients c_J = a+_{J+1} + a-_J, J = 0..M-1, of the expected weight.
  // Groups without a wrong response have a+ = 0, whatever the limit is.
  function coefficients(scheme, size, options) {
    const effective = SCHEMES[scheme];
    if (typeof effective === "number") return new Array(size).fill(effective);
    return Array.from({ length: size }, (_, j) => {
      const [low, high] = [j / size, (j + 1) / size];
      const positive = j + 1 < size ? effective(high, 1 - high, options) / high : 0;
      const ignored = j === 0 && WITHOUT_ALL_WRONG.has(scheme);
      return positive + (ignored ? 0 : effective(low, 1 - low, options) / (1 - low));
    });
  }

  const logFactorials = [0];
  function logChoose(n, k) {
    for (let i = logFactorials.length; i <= n; i++) logFactorials.push(logFactorials[i - 1] + Math.log(i));
    return logFactorials[n] - logFactorials[k] - logFactorials[n - k];
  }

  // Bin(j; n, p) for j = 0..n.
  function binomial(n, p, q) {
    const [a, b] = [Math.log(p), Math.log(q)];
    return Array.from({ length: n + 1 }, (_, j) => Math.exp(logChoose(n, j) + j * a + (n - j) * b));
  }

  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

  function expectedWeight(scheme, size, p, q, options) {
    return dot(coefficients(scheme, size, options), binomial(size - 1, p, q));
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
  const RULE = gaussLegendre(20);
  const PANEL = 2; // width in logit p; the integrands' nearest singularity lies at a distance of pi

  // Points (p, q) with weights for integrals over p: panels in logit p that end at the kinks.
  function quadrature(start, target, kinks) {
    const inner = kinks.filter((kink) => start < kink && kink < target);
    const ends = [start, ...inner, target].map(logit);
    const points = [];
    for (let i = 1; i < ends.length; i++) {
      const count = Math.max(1, Math.ceil((ends[i] - ends[i - 1]) / PANEL));
      const half = (ends[i] - ends[i - 1]) / (2 * count);
      for (let panel = 0; panel < count; panel++) {
        const centre = ends[i - 1] + half * (2 * panel + 1);
        RULE[0].forEach((node, j) => {
          const x = centre + half * node;
          const [p, q] = [expit(x), expit(-x)];
          points.push({ p, q, share: half * RULE[1][j] * p * q });
        });
      }
    }
    return points;
  }

  // The problem: {start, target, clock, update, response, dynamics, group_size, threshold}.
  // Gives the optimum's time for a unit budget, and for every scheme its excess time in the limit
  // of large groups and in groups of group_size, and its budget there.
  function solve(problem) {
    const cost = CLOCKS[problem.clock], velocity = VELOCITIES[problem.dynamics];
    const points = quadrature(problem.start, problem.target, [problem.threshold]);
    const pace = points.map(({ p, q }) => cost(p, q, problem) / velocity(p, q));
    const norm = points.reduce((sum, { share }, i) => sum + share * Math.sqrt(pace[i]), 0);
    const masses = points.map(({ p, q }) => binomial(problem.group_size - 1, p, q));

    function excess(values) {
      let time = 0, budget = 0;
      points.forEach(({ share }, i) => {
        time += (share * pace[i]) / values[i];
        budget += share * values[i];
      });
      return { excess: (time * budget) / norm ** 2, budget };
    }

    const schemes = {};
    for (const name of Object.keys(SCHEMES)) {
      const table = coefficients(name, problem.group_size, problem);
      const limit = excess(points.map(({ p, q }) => weight(name, p, q, problem)));
      const finite = excess(masses.map((mass) => dot(table, mass)));
      schemes[name] = {
        limit: limit.excess, finite: finite.excess, budget: limit.budget, finiteBudget: finite.budget,
      };
    }
    const optimal = (p, q) => Math.sqrt(cost(p, q, problem) / velocity(p, q)) / norm;
    return { time: norm ** 2, optimal, schemes };
  }

  return { SCHEMES, CLOCKS, VELOCITIES, logit, expit, weight, coefficients, expectedWeight, solve };
})();
