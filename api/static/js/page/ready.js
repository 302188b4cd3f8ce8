// Tells tests and measurements that a page is drawn and answers.

export function ready() {
  requestAnimationFrame(() => {
    document.body.dataset.ready = "true";
    performance.mark("interactive");
  });
}
