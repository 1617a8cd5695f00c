// Before the first paint: what was chosen on an earlier visit, so that nothing jumps, and a start for the editor that the address
// asks for. It stands in the page itself; the build puts in where the editors are.
try {
  var root = document.documentElement
  var theme = JSON.parse(localStorage.getItem('quire-theme'))
  if (theme === 'light' || theme === 'dark') root.dataset.theme = theme
  if (localStorage.getItem('quire-intro') === 'false') root.dataset.intro = 'hidden'
} catch (error) {
  // Without storage nothing was chosen.
}
var view = new URLSearchParams(location.search).get('view')
var link = document.createElement('link')
link.rel = 'modulepreload'
link.href = Object.hasOwn(VIEWS, view) ? VIEWS[view] : VIEWS.write
document.head.append(link)
