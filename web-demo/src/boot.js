// Before the first paint: what was chosen on an earlier visit, so that nothing jumps. It stands in the page itself.
try {
  var root = document.documentElement
  var theme = JSON.parse(localStorage.getItem('quire-theme'))
  if (theme === 'light' || theme === 'dark') root.dataset.theme = theme
  if (localStorage.getItem('quire-intro') === 'false') root.dataset.intro = 'hidden'
} catch (error) {
  // Without storage nothing was chosen.
}
