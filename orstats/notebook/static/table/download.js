const pending = new Map();

/** Collect the parts of a file, then hand it to the browser's downloads. */
export function save(part, buffers, tell) {
  const parts = pending.get(part.file) || [];
  parts[part.part] = buffers[0];
  pending.set(part.file, parts);
  if (Object.keys(parts).length < part.parts) return;
  pending.delete(part.file);
  const url = URL.createObjectURL(new Blob(parts, { type: part.mime }));
  const link = document.createElement("a");
  link.href = url;
  link.download = part.name;
  document.body.append(link);
  link.click();
  link.remove();
  // The browser reads the file some time after the click.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  tell("note", `${part.about} sent to your browser's downloads as ${part.name}.`);
}
