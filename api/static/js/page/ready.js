// Tells tests and measurements when a page answers, and when all of its first view is drawn.

let marked = false;

// The map shows its first shapes, and every control works.
export function answers() {
  if (!marked) performance.mark("interactive");
  marked = true;
}

export function ready() {
  requestAnimationFrame(() => {
    answers();
    document.body.dataset.ready = "true";
  });
}
