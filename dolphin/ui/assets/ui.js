'use strict';
// A question before what cannot be undone; a page that says so is brought up to date while it is looked at.
document.addEventListener('submit', event => {
  const words = event.target.dataset.ask;
  if (words && !confirm(words)) event.preventDefault();
});
const here = document.querySelector('.bar nav [aria-current]');
if (here) here.parentElement.scrollLeft = here.offsetLeft - here.parentElement.clientWidth / 2;
document.querySelectorAll('form[data-go]').forEach(form => form.addEventListener('change', () => form.requestSubmit()));
document.querySelectorAll('form[data-least]').forEach(form => {
  const tell = () => {
    const count = form.querySelectorAll('input[type=checkbox]:checked').length, button = form.querySelector('.needs');
    button.disabled = count < Number(form.dataset.least);
    button.textContent = count ? `Compare ${count}` : 'Compare';
  };
  form.addEventListener('change', tell);
  tell();
});
(() => {
  const seconds = Number(document.querySelector('[data-refresh]')?.dataset.refresh);
  if (!seconds) return;
  setInterval(async () => {
    if (document.hidden) return;
    const answer = await fetch(location.href).catch(() => null);
    if (!answer || !answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
    document.querySelectorAll('[data-refresh]').forEach((old, k) => {
      const now = fresh.querySelectorAll('[data-refresh]')[k];
      if (now && !old.contains(document.activeElement)) old.innerHTML = now.innerHTML;
    });
  }, 1000 * seconds);
})();
