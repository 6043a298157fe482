// The chart library and long data lie in the page packed; they are unpacked here, without a request.
window.unpack = element => {
  const bytes = Uint8Array.from(atob(element.textContent.trim()), c => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).text();
};
window.unpacked = (async () => {
  const script = document.createElement('script');
  script.textContent = await window.unpack(document.getElementById('plotly'));
  document.head.append(script);
})().catch(() => document.querySelectorAll('.chart').forEach(box => {
  box.textContent = 'This chart needs a browser of 2023 or later.';
}));
