// A click on a short hash copies the whole of it; a page from a file has no clipboard of its own in every browser.
document.addEventListener('click', event => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  const whole = button.dataset.copy, before = button.textContent;
  const told = () => { button.textContent = 'copied'; setTimeout(() => { button.textContent = before; }, 900); };
  const byHand = () => {
    const area = document.createElement('textarea');
    area.value = whole;
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    if (done) told(); else button.textContent = whole;
    button.focus();
  };
  if (button.textContent === 'copied') return;
  if (navigator.clipboard) navigator.clipboard.writeText(whole).then(told, byHand); else byHand();
});
