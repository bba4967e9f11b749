export interface AdvancedMetrics {
  fragPotential: number;
  damageEfficiency: number; // 0..100
  survivalRate: number;
}

export const fromApi = (raw: Record<string, number>): AdvancedMetrics => ({
  fragPotential: raw.frag_potential,
  damageEfficiency: raw.damage_efficiency,
  survivalRate: raw.survival_rate,
});

export function grade(m: AdvancedMetrics): string {
  if (m.damageEfficiency >= 60) return 'A';
  if (m.damageEfficiency >= 50) return 'B';
  return m.survivalRate > 80 ? 'B' : 'C';
}

export const formatEfficiency = (m: AdvancedMetrics) => `${m.damageEfficiency.toFixed(1)} %`;
export const gauge = (m: AdvancedMetrics) => ({ min: 0, max: 100, value: m.damageEfficiency });
