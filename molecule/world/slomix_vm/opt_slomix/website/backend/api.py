"""JSON endpoints behind the session pages."""

# ruff: noqa: B008 - FastAPI takes its dependencies from defaults

from datetime import date, datetime

from backend.db import get_db
from fastapi import APIRouter, Depends, HTTPException, Query

router = APIRouter()

PLAYED_ROUNDS = "r.round_number IN (1, 2)"


def format_ago(day, today=None):
    days = ((today or date.today()) - day).days
    if days <= 0:
        return "today"
    if days == 1:
        return "yesterday"
    return f"{days} days ago" if days < 30 else f"{days // 30} months ago"


def parse_day(text):
    try:
        return datetime.strptime(text[:10], "%Y-%m-%d").date()
    except ValueError:
        raise HTTPException(status_code=400, detail="date must look like 2026-02-20") from None


@router.get("/status")
async def get_status(db=Depends(get_db)):
    row = await db.fetch_one(
        f"""
        SELECT COUNT(*) AS rounds, MAX(r.round_date) AS last_date,
               (SELECT COUNT(DISTINCT player_guid) FROM player_comprehensive_stats) AS players
        FROM rounds r
        WHERE {PLAYED_ROUNDS}
        """
    )
    return {"status": "online", "rounds": row["rounds"], "players": row["players"], "last_round_date": row["last_date"]}


@router.get("/sessions")
async def get_sessions(limit: int = Query(20, ge=1, le=100), offset: int = Query(0, ge=0), db=Depends(get_db)):
    rows = await db.fetch_all(
        f"""
        SELECT r.gaming_session_id AS session_id,
               MIN(r.round_date) AS date,
               COUNT(*) AS rounds,
               COUNT(DISTINCT r.map_name) AS maps,
               STRING_AGG(DISTINCT r.map_name, ', ' ORDER BY r.map_name) AS maps_played,
               COUNT(*) FILTER (WHERE r.winner_team = 1) AS axis_wins,
               COUNT(*) FILTER (WHERE r.winner_team = 2) AS allies_wins,
               COUNT(*) FILTER (WHERE r.winner_team = 0) AS draws
        FROM rounds r
        WHERE {PLAYED_ROUNDS} AND r.gaming_session_id IS NOT NULL
        GROUP BY r.gaming_session_id
        ORDER BY date DESC, session_id DESC
        LIMIT %s OFFSET %s
        """,
        (limit, offset),
    )
    sessions = []
    for row in rows:
        totals = await db.fetch_one(
            f"""
            SELECT COUNT(DISTINCT p.player_guid) AS players, COALESCE(SUM(p.kills), 0) AS kills
            FROM player_comprehensive_stats p
            JOIN rounds r ON r.id = p.round_id
            WHERE {PLAYED_ROUNDS} AND r.gaming_session_id = %s
            """,
            (row["session_id"],),
        )
        day = parse_day(row["date"])
        sessions.append(
            {
                "date": row["date"],
                "session_id": row["session_id"],
                "rounds": row["rounds"],
                "maps": row["maps"],
                "players": totals["players"],
                "total_kills": totals["kills"],
                "maps_played": row["maps_played"].split(", "),
                "wins": {"axis": row["axis_wins"], "allies": row["allies_wins"]},
                "draws": row["draws"],
                "time_ago": format_ago(day),
                "formatted_date": day.strftime("%A, %d %B %Y"),
            }
        )
    return sessions


def session_filter(day, gaming_session_id):
    """WHERE clause and parameters of one session: its id when given, else the text prefix of the date."""
    if gaming_session_id is not None:
        return "r.gaming_session_id = %s", (gaming_session_id,)
    return "r.round_date LIKE %s", (f"{parse_day(day).isoformat()}%",)


@router.get("/sessions/{day}")
async def get_session(day: str, gaming_session_id: int | None = None, db=Depends(get_db)):
    where, params = session_filter(day, gaming_session_id)
    rounds = await db.fetch_all(
        f"""
        SELECT r.id, r.map_name, r.round_number, r.round_time, r.actual_time, r.winner_team, r.defender_team,
               r.round_outcome, r.gaming_session_id
        FROM rounds r
        WHERE {PLAYED_ROUNDS} AND {where}
        ORDER BY r.round_date, r.round_time
        """,
        params,
    )
    if not rounds:
        raise HTTPException(status_code=404, detail="no session on this date")
    players = await db.fetch_all(
        f"""
        SELECT p.player_guid AS guid, MAX(p.clean_name) AS name, SUM(p.kills) AS kills, SUM(p.deaths) AS deaths,
               SUM(p.damage_given) AS damage_given, SUM(p.damage_received) AS damage_received
        FROM player_comprehensive_stats p
        JOIN rounds r ON r.id = p.round_id
        WHERE {PLAYED_ROUNDS} AND {where}
        GROUP BY p.player_guid
        ORDER BY damage_given DESC
        """,
        params,
    )
    return {"date": day, "rounds": rounds, "players": players}


@router.get("/sessions/{day}/graphs")
async def get_session_graphs(day: str, gaming_session_id: int | None = None, db=Depends(get_db)):
    """Numbers behind the session's charts, per player."""
    where, params = session_filter(day, gaming_session_id)
    rows = await db.fetch_all(
        f"""
        SELECT p.player_guid AS guid, p.clean_name AS name, p.kills, p.deaths, p.damage_given, p.damage_received,
               p.kill_assists, p.gibs, p.headshots, p.headshot_kills, p.self_kills, p.revives_given, p.times_revived,
               p.time_played_seconds, p.time_dead_minutes, p.denied_playtime, p.dpm, p.accuracy,
               r.id AS round_id, r.map_name, r.round_number
        FROM player_comprehensive_stats p
        JOIN rounds r ON r.id = p.round_id
        WHERE {PLAYED_ROUNDS} AND {where}
        ORDER BY r.round_date, r.round_time, r.id
        """,
        params,
    )
    if not rows:
        raise HTTPException(status_code=404, detail="no session on this date")

    totals = {}
    for row in rows:
        player = totals.setdefault(
            row["guid"],
            {
                "name": row["name"],
                "rounds": 0,
                "kills": 0,
                "deaths": 0,
                "damage_given": 0,
                "damage_received": 0,
                "assists": 0,
                "gibs": 0,
                "headshots": 0,
                "self_kills": 0,
                "revives": 0,
                "times_revived": 0,
                "time_played": 0,
                "time_dead_minutes": 0.0,
                "time_denied": 0,
                "accuracy": 0.0,
                "timeline": [],
            },
        )
        player["name"] = row["name"]
        player["rounds"] += 1
        player["kills"] += row["kills"]
        player["deaths"] += row["deaths"]
        player["damage_given"] += row["damage_given"]
        player["damage_received"] += row["damage_received"]
        player["assists"] += row["kill_assists"]
        player["gibs"] += row["gibs"]
        headshots = row["headshots"] if row["headshots"] is not None else row["headshot_kills"]
        player["headshots"] += headshots or 0
        player["self_kills"] += row["self_kills"]
        player["revives"] += row["revives_given"]
        player["times_revived"] += row["times_revived"]
        player["time_played"] += row["time_played_seconds"]
        player["time_dead_minutes"] += row["time_dead_minutes"]
        player["time_denied"] += row["denied_playtime"]
        player["accuracy"] += row["accuracy"]
        player["timeline"].append(
            {
                "round_id": row["round_id"],
                "label": f"{row['map_name']} R{row['round_number']}",
                "dpm": round(row["dpm"], 1),
            }
        )

    players = []
    for guid, player in totals.items():
        kills, deaths = player["kills"], player["deaths"]
        damage_given, damage_received = player["damage_given"], player["damage_received"]
        time_played = player["time_played"]
        time_minutes = time_played / 60 if time_played > 0 else 1

        # offensive output per minute
        frag_potential = (kills + player["assists"] * 0.5) / time_minutes * 10

        # share of the damage in a player's fights that he dealt himself
        total_damage = damage_given + damage_received
        damage_efficiency = damage_given / total_damage * 100 if total_damage > 0 else 50

        # long lives score higher
        average_life = time_played / (deaths + 1)
        survival_rate = min(100, average_life / 60 * 10)

        players.append(
            {
                "guid": guid,
                "name": player["name"],
                "combat_offense": {
                    "kills": kills,
                    "assists": player["assists"],
                    "damage_given": damage_given,
                    "gibs": player["gibs"],
                    "headshots": player["headshots"],
                    "dpm": round(damage_given / time_minutes, 1),
                    "accuracy": round(player["accuracy"] / player["rounds"], 1),
                },
                "combat_defense": {
                    "deaths": deaths,
                    "damage_received": damage_received,
                    "self_kills": player["self_kills"],
                    "revives": player["revives"],
                    "times_revived": player["times_revived"],
                },
                "advanced_metrics": {
                    "frag_potential": round(frag_potential, 1),
                    "damage_efficiency": round(damage_efficiency, 1),
                    "survival_rate": round(survival_rate, 1),
                    "time_denied": round(player["time_denied"] / time_minutes, 1),
                    "time_denied_raw_seconds": player["time_denied"],
                    "time_dead_raw_seconds": int(player["time_dead_minutes"] * 60),
                },
                "playstyle": {
                    "aggression": round(min(100, kills / time_minutes * 40), 1),
                    "support": round(min(100, (player["revives"] + player["assists"]) / time_minutes * 25), 1),
                    "precision": round(player["accuracy"] / player["rounds"], 1),
                },
                "dpm_timeline": player["timeline"],
            }
        )

    players.sort(key=lambda entry: entry["combat_offense"]["damage_given"], reverse=True)
    return {"date": day, "gaming_session_id": gaming_session_id, "player_count": len(players), "players": players}


LEADERBOARD_STATS = {
    "kills": "SUM(p.kills)",
    "damage": "SUM(p.damage_given)",
    "revives": "SUM(p.revives_given)",
    "headshots": "SUM(p.headshots)",
    "dpm": "ROUND((SUM(p.damage_given) * 60.0 / NULLIF(SUM(p.time_played_seconds), 0))::numeric, 1)",
}


@router.get("/stats/leaderboard")
async def get_leaderboard(stat: str = "dpm", limit: int = Query(20, ge=1, le=100), db=Depends(get_db)):
    expression = LEADERBOARD_STATS.get(stat)
    if expression is None:
        raise HTTPException(status_code=400, detail=f"stat must be one of {', '.join(LEADERBOARD_STATS)}")
    rows = await db.fetch_all(
        f"""
        SELECT MAX(p.clean_name) AS name, p.player_guid AS guid, {expression} AS value,
               COUNT(DISTINCT p.round_id) AS rounds
        FROM player_comprehensive_stats p
        JOIN rounds r ON r.id = p.round_id
        WHERE {PLAYED_ROUNDS}
        GROUP BY p.player_guid
        HAVING {expression} IS NOT NULL
        ORDER BY value DESC
        LIMIT %s
        """,
        (limit,),
    )
    return [{**row, "value": float(row["value"]), "rank": rank} for rank, row in enumerate(rows, start=1)]


@router.get("/stats/overview")
async def get_overview(db=Depends(get_db)):
    return await db.fetch_one(
        f"""
        SELECT COUNT(DISTINCT r.id) AS rounds, COUNT(DISTINCT r.gaming_session_id) AS sessions,
               COUNT(DISTINCT p.player_guid) AS players, COALESCE(SUM(p.kills), 0) AS kills
        FROM rounds r
        LEFT JOIN player_comprehensive_stats p ON p.round_id = r.id
        WHERE {PLAYED_ROUNDS}
        """
    )
