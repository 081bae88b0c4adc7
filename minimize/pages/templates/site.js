"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const box = document.getElementById("search");
  const results = document.getElementById("results");
  const status = document.getElementById("search-status");
  const index = box.dataset.index;
  const LIMIT = 50;

  const show = (text) => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    results.replaceChildren();
    document.body.classList.toggle("searching", words.length > 0);
    if (words.length === 0) {
      status.textContent = "";
      return;
    }
    const found = data.search.filter((entry) => words.every((word) => entry.text.toLowerCase().includes(word)));
    const isNamed = (entry) => words.every((word) => entry.title.toLowerCase().includes(word));
    found.sort((one, other) => isNamed(other) - isNamed(one));
    for (const entry of found.slice(0, LIMIT)) {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = entry.link;
      link.textContent = entry.title;
      const note = document.createElement("small");
      note.textContent = entry.note;
      item.append(link, note);
      results.append(item);
    }
    const more = found.length > LIMIT ? `, the first ${LIMIT} are shown` : "";
    status.textContent = `${found.length} found${more}`;
  };

  document.getElementById("search-form").hidden = false;
  document.getElementById("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (data.search === null) {
      location.href = `${index}#search=${encodeURIComponent(box.value)}`;
    }
  });
  if (data.search !== null) {
    box.addEventListener("input", () => show(box.value));
    const asked = /^#search=(.*)$/.exec(location.hash);
    if (asked) {
      try {
        box.value = decodeURIComponent(asked[1]);
      } catch {
        box.value = "";
      }
      show(box.value);
    }
  }

  const filters = document.querySelector(".filters");
  if (filters) {
    const count = filters.querySelector("output");
    const rows = [...document.querySelectorAll("tr.field")];
    const update = () => {
      const shown = rows.filter((row) => getComputedStyle(row).display !== "none").length;
      count.textContent = `${shown} of ${rows.length} shown`;
    };
    filters.addEventListener("change", update);
    update();
  }
})();
