document.querySelectorAll('table.sortable').forEach(table => {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const value = (row, i) => row.cells[i].dataset.order ?? row.cells[i].textContent;
  heads.forEach((head, i) => head.querySelector('button').addEventListener('click', () => {
    const down = head.getAttribute('aria-sort') !== 'descending';
    heads.forEach(h => h.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const rows = [...body.rows].sort((a, b) => {
      const x = value(a, i), y = value(b, i), d = x - y;
      const c = Number.isNaN(d) ? String(x).localeCompare(String(y)) : d;
      return down ? -c : c;
    });
    body.append(...rows);
  }));
});

// On a narrow screen a table of months opens where the run begins.
document.querySelectorAll('table.heat').forEach(table => {
  const first = table.querySelector('td[data-order]'), box = table.parentElement;
  if (first) box.scrollLeft = first.offsetLeft - table.rows[0].cells[0].offsetWidth;
});
