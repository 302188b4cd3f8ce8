// The office's forms without reloading: answers that are no page of the office are shown as such.

document.body.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers.Accept = "text/html";
});

// A refused request (signed out, page out of date): its own page says what to do.
document.body.addEventListener("htmx:responseError", (event) => {
  const page = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
  const told = page.querySelector("main");
  const office = document.getElementById("office");
  if (told && office) office.prepend(notice(told.querySelector("h1")?.textContent, told.querySelector("p")?.textContent));
});

document.body.addEventListener("htmx:sendError", () => {
  document.getElementById("office")?.prepend(notice("", "…"));
});

// After a change the eye finds what came of it.
document.body.addEventListener("htmx:afterSettle", () => {
  const first = document.querySelector("#office [role=alert], #phone-code, #office > [role=status]");
  first?.scrollIntoView({ block: "nearest" });
});

document.getElementById("city-choice")?.addEventListener("change", (event) => event.target.form.submit());

function notice(...texts) {
  const element = document.createElement("p");
  element.className = "notice is-bad";
  element.setAttribute("role", "alert");
  element.textContent = texts.filter(Boolean).join(" ");
  return element;
}
