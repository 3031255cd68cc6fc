// Browsers start no worker from a file: where pages are opened from a folder, a hidden frame runs the search.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      const inner = frame.contentWindow
      inner.document.write("<body></body>")
      inner.document.close()
      inner.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      const script = inner.document.createElement("script")
      this.ready = new Promise(resolve => script.addEventListener("load", resolve))
      this.postMessage = data =>
        this.ready.then(() => inner.dispatchEvent(new inner.MessageEvent("message", { data })))
      script.src = url
      inner.document.body.append(script)
    }
  }
}
