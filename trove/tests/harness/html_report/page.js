"use strict";

// The filter is part of the address, so that a view can be sent to others.
const form = document.getElementById("filter");
const rows = Array.from(document.querySelectorAll("#cases tbody tr"));

function show() {
  const outcome = form.elements.outcome.value;
  const text = form.elements.text.value.toLowerCase();
  let found = 0;
  for (const row of rows) {
    const fits = (!outcome || row.dataset.outcome === outcome)
      && row.textContent.toLowerCase().includes(text);
    row.hidden = !fits;
    found += fits;
  }
  document.getElementById("found").value = `${found} of ${rows.length} tests`;
}

function follow() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  form.elements.outcome.value = wanted.get("outcome") ?? "";
  form.elements.text.value = wanted.get("text") ?? "";
  show();
  if (wanted.size && !location.hash.startsWith("#test-")) {
    form.scrollIntoView();
  } else {
    document.getElementById(location.hash.slice(1))?.scrollIntoView({block: "center"});
  }
}

if (form) {
  form.addEventListener("input", () => {
    show();
    const wanted = Array.from(new FormData(form)).filter(([, value]) => value);
    history.replaceState(null, "", `#${new URLSearchParams(wanted)}`);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    const bar = event.target.closest("[data-test]");
    if (bar) {
      location.hash = `test-${bar.dataset.test}`;
    }
  });
  follow();
}
