export function ReaderPage({ study }: { study: string }) {
  return <p>{study}</p>;
}
