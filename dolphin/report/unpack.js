// The chart library lies in the page packed; it is unpacked here, without a request.
window.unpacked = (async () => {
  const packed = document.getElementById('plotly').textContent.trim();
  const bytes = Uint8Array.from(atob(packed), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  const script = document.createElement('script');
  script.textContent = await new Response(stream).text();
  document.head.append(script);
})().catch(() => document.querySelectorAll('.chart').forEach(box => {
  box.textContent = 'This chart needs a browser of 2023 or later.';
}));
