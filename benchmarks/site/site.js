(function () {
  "use strict";

  // Sorting: the heads of columns become buttons; cells without a value stay last.
  function value(row, column, numeric) {
    var told = row.cells[column].getAttribute("data-value");
    if (told === null) { told = row.cells[column].textContent.trim(); }
    if (!numeric) { return told.toLowerCase(); }
    return told === "" || told === "-" ? NaN : Number(told);
  }

  function sort(table, column, direction, numeric) {
    var body = table.tBodies[0];
    var rows = Array.prototype.slice.call(body.rows);
    var sign = direction === "ascending" ? 1 : -1;
    rows.map(function (row, place) { return { row: row, place: place, value: value(row, column, numeric) }; })
      .sort(function (a, b) {
        if (numeric && (isNaN(a.value) || isNaN(b.value))) {
          return (isNaN(a.value) ? 1 : 0) - (isNaN(b.value) ? 1 : 0) || a.place - b.place;
        }
        if (a.value < b.value) { return -sign; }
        if (a.value > b.value) { return sign; }
        return a.place - b.place;
      })
      .forEach(function (each) { body.appendChild(each.row); });
  }

  function sortable(table) {
    var heads = Array.prototype.slice.call(table.tHead.rows[0].cells);
    heads.forEach(function (head, column) {
      var kind = head.getAttribute("data-sort");
      if (!kind) { return; }
      var button = document.createElement("button");
      button.type = "button";
      while (head.firstChild) { button.appendChild(head.firstChild); }
      head.appendChild(button);
      button.addEventListener("click", function () {
        var now = head.getAttribute("aria-sort");
        var next = head.getAttribute("data-first") || "ascending";
        if (now) { next = now === "ascending" ? "descending" : "ascending"; }
        heads.forEach(function (each) { each.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", next);
        sort(table, column, next, kind === "number");
      });
    });
  }

  Array.prototype.forEach.call(document.querySelectorAll("table.sortable"), sortable);

  // Filtering: what tells of a run that is left out is hidden in every table and plot.
  var form = document.querySelector("form.filter");
  if (!form) { return; }
  var runs = Array.prototype.slice.call(document.querySelectorAll("[data-run]"));
  var parts = Array.prototype.slice.call(document.querySelectorAll("[data-runs]"));

  function filter() {
    var words = form.elements.words.value.toLowerCase().split(/\s+/);
    var fair = form.elements.fair.checked;
    var shown = {};
    var count = 0;
    runs.forEach(function (row) {
      var text = row.getAttribute("data-text");
      var keep = words.every(function (word) { return text.indexOf(word) >= 0; });
      keep = keep && !(fair && row.hasAttribute("data-privileged"));
      shown[row.getAttribute("data-run")] = keep;
      row.hidden = !keep;
      count += keep ? 1 : 0;
    });
    parts.forEach(function (part) {
      part.hidden = !part.getAttribute("data-runs").split(" ").every(function (run) { return shown[run]; });
    });
    form.querySelector("output").textContent = count + " of " + runs.length + " shown";
  }

  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  filter();
}());
