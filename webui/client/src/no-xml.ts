/** Stands in for xmlbuilder2, which only writers of VTK's own file formats call. */
export function create(): never {
  throw new Error('XML is not written here');
}
