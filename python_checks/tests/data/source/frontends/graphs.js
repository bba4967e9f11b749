// session graphs - Chart.js
import { Chart } from './vendor/chart.js';

const COLORS = { eff: '#22c55e', surv: '#3b82f6', frag: '#ef4444' };

export function renderAdvanced(players) {
  const labels = players.map((p) => p.name);
  const dataEff = players.map((p) => p.advanced_metrics.damage_efficiency);   
  const dataSurv = players.map((p) => p.advanced_metrics.survival_rate);
  new Chart(document.getElementById('chart-eff'), {
    type: 'bar',
    data: { labels, datasets: [{ label: 'Damage Efficiency %', data: dataEff, backgroundColor: COLORS.eff }] },
    options: {
      scales: { y: { beginAtZero: true, max: 100, title: { display: true, text: 'Percent' } } },
      plugins: { tooltip: { callbacks: { label: (c) => `${c.parsed.y.toFixed(1)}%` } } },
    },
  });
  new Chart(document.getElementById('chart-surv'), {
    type: 'bar',
    data: { labels, datasets: [{ label: 'Survival %', data: dataSurv }] },
    options: { scales: { y: { max: 100 } } },
  });
}
