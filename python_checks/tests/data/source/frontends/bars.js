const METRIC_CONFIG = [
  { key: 'frag_potential', label: 'Frag Potential', max: 50 },
  { key: 'damage_efficiency', label: 'Damage Efficiency', unit: '%', max: 100 },
  { key: 'survival_rate', label: 'Survival Rate', unit: '%', max: 100 },
];

function bar(player) {
  return METRIC_CONFIG.map(m => {
    const v = player.advanced_metrics[m.key];
    const pct = Math.min(100, v / m.max * 100);
    return `<div class="metric"><span>${m.label}</span><b>${v}${m.unit || ''}</b><i style="width:${pct}%"></i></div>`;
  }).join('');
}
