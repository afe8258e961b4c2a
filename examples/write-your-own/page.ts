/** The live page's template: its posts, and the scripts that keep them up to date. */
export const page = (livePosts: string): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Live</title>
<h1>Live</h1>
${livePosts}
<script src="/tidings.js"></script>
<script src="/engine.io.js"></script>
<script src="/client.js"></script>
</html>`;
