/** A small line of numbers; what it says in words is its label. */
export function Spark({
  values,
  label,
  bars = false,
}: {
  readonly values: readonly number[];
  readonly label: string;
  readonly bars?: boolean;
}) {
  const width = 120;
  const height = 24;
  const most = Math.max(1, ...values);
  const step = width / Math.max(1, values.length - (bars ? 0 : 1));
  const y = (value: number) => height - 1.5 - (value / most) * (height - 4);
  if (bars)
    return (
      <svg
        class="spark"
        viewBox={`0 0 ${width} ${height}`}
        role="img"
        aria-label={label}
        preserveAspectRatio="none"
      >
        {values.map((value, index) => (
          <rect
            class="bar"
            key={index}
            x={index * step + 0.5}
            width={Math.max(1, step - 1.5)}
            y={value === 0 ? height - 2 : y(value)}
            height={value === 0 ? 1 : height - y(value) - 1}
          />
        ))}
      </svg>
    );
  const line = values
    .map((value, index) => `${index === 0 ? 'M' : 'L'}${(index * step).toFixed(1)} ${y(value).toFixed(1)}`)
    .join('');
  return (
    <svg
      class="spark"
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={label}
      preserveAspectRatio="none"
    >
      <path class="area" d={`${line}L${width} ${height}L0 ${height}Z`} />
      <path class="line" d={line} />
    </svg>
  );
}
