import React from 'react';
import { Radar } from 'react-chartjs-2';

const effColor = (v) => (v >= 60 ? 'text-green-400' : v >= 45 ? 'text-yellow-400' : 'text-red-400');

export default function PlayerCard({ player }) {
  const { damage_efficiency: dmgEff, survival_rate: survival, frag_potential: fp } = player.advanced_metrics;
  return (
    <div className="card">
      <h3>{player.name}</h3>
      <span className={effColor(dmgEff)}>{dmgEff.toFixed(1)}%</span>
      <progress value={dmgEff} max="100" />
      <div className="bar" style={{ width: `${dmgEff}%` }} />
      <span>{survival.toFixed(0)}%</span>
      <Radar
        data={{ labels: ['FP', 'Eff', 'Surv'], datasets: [{ data: [fp, dmgEff, survival] }] }}
        options={{ scales: { r: { min: 0, max: 100 } } }}
      />
    </div>
  );
}
