// Charts of one session page. Data: GET /api/sessions/<date>/graphs

const METRICS = [
    { key: 'frag_potential', label: 'Frag Potential', suffix: '', max: 30 },
    { key: 'damage_efficiency', label: 'Damage Efficiency', suffix: '%', max: 100 },
    { key: 'survival_rate', label: 'Survival Rate', suffix: '%', max: 100 },
    { key: 'time_denied', label: 'Time Denied', suffix: 's/min', max: null },
];

// At or above "good" a bar is green, below "poor" it is red.
const THRESHOLDS = {
    frag_potential: { good: 15, poor: 5 },
    damage_efficiency: { good: 55, poor: 45 },
    survival_rate: { good: 20, poor: 8 },
};

function barColour(key, value) {
    const limits = THRESHOLDS[key];
    if (!limits) return '#3498db';
    if (value >= limits.good) return '#2ecc71';
    return value < limits.poor ? '#e74c3c' : '#f1c40f';
}

function formatMetric(metric, value) {
    return `${Number(value).toFixed(1)}${metric.suffix}`;
}

function renderMetric(container, metric, players) {
    const top = metric.max || Math.max(1, ...players.map((p) => p.advanced_metrics[metric.key]));
    const list = document.createElement('div');
    list.className = 'metric';
    list.innerHTML = `<h3>${metric.label}</h3>`;
    for (const player of players) {
        const value = player.advanced_metrics[metric.key];
        const row = document.createElement('div');
        row.className = 'metric-row';
        const name = document.createElement('span');
        name.textContent = player.name;
        const bar = document.createElement('i');
        bar.style.width = `${Math.min(100, (value / top) * 100)}%`;
        bar.style.background = barColour(metric.key, value);
        const number = document.createElement('b');
        number.textContent = formatMetric(metric, value);
        row.append(name, bar, number);
        list.append(row);
    }
    container.append(list);
}

export async function showSessionGraphs(container, date) {
    const answer = await fetch(`/api/sessions/${encodeURIComponent(date)}/graphs`);
    if (!answer.ok) {
        container.textContent = 'No session on this date.';
        return;
    }
    const { players } = await answer.json();
    container.replaceChildren();
    METRICS.forEach((metric) => renderMetric(container, metric, players));
}
