"""Of JOURNAL.md."""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "Journal": "Журнал",
    "of the searches beside it. Edits are lost here: write with `tuner note NAME TEXT`.": (
        "из соседних поисков. Правки здесь пропадут: пишите через `tuner note NAME TEXT`."
    ),
    "Newest search first. Changes in brackets are from the search's baseline. Times are UTC.": (
        "Сначала самый новый поиск. Изменения в скобках — к базовому испытанию поиска. Время — UTC."
    ),
    "Could not be read: {folders}.": "Не удалось прочитать: {folders}.",
    "Result": "Результат",
    "Leaderboard": "Таблица результатов",
    "Hypothesis": "Гипотеза",
    "About": "О поиске",
    "space {told}": "пространство {told}",
    "data {told}": "данные {told}",
    "images {told}": "изображения {told}",
    "changed {told}": "изменено {told}",
    "stopped": "поиск остановлен",
    "failed": "поиск прерван ошибкой",
    "running": "поиск идёт",
    "{finished} of {trials} trials finished": "завершено {finished} из {trials} {trials:испытания|испытаний|испытаний}",
    "No trial is ranked; {counted}.": "Ни у одного испытания нет места; {counted}.",
    "{trial} is best, {reached}; {counted}.": "Лучшее — {trial}, {reached}; {counted}.",
    "None beats the baseline {trial}, {reached}; {counted}.": (
        "Базовое {trial} никто не превзошёл, {reached}; {counted}."
    ),
    "Not told apart from it: {trials}.": "Значимо не отличаются от него: {trials}.",
    "For comparison: {references}.": "Для сравнения: {references}.",
    "{trial} was retrained on {splits}{scored}.": "{trial} обучено заново на {splits}{scored}.",
    ", {metric} {value} on test": ", {metric} {value} на тесте",
    "Does test agree with val?": "Согласуется ли тест с валидацией?",
    "In sign yes: {val} from the baseline on val, {test} on test": (
        "По знаку — да: {val} к базовому на валидации, {test} на тесте"
    ),
    "In sign no: {val} from the baseline on val, {test} on test": (
        "По знаку — нет: {val} к базовому на валидации, {test} на тесте"
    ),
    "{test} on test is within val's 95 % interval, {low:.3f} to {high:.3f}": (
        "{test} на тесте — внутри 95 % интервала валидации, от {low:.3f} до {high:.3f}"
    ),
    "{test} on test is outside val's 95 % interval, {low:.3f} to {high:.3f}": (
        "{test} на тесте — вне 95 % интервала валидации, от {low:.3f} до {high:.3f}"
    ),
    "What worked": "Что сработало",
    "Next": "Дальше",
    "Notes": "Заметки",
    "more epochs, since {trial} was best at its last one ({epoch:g})": (
        "больше эпох: у {trial} лучшей была последняя ({epoch:g})"
    ),
    "fewer epochs or more regularisation, since {trial} was best at epoch {epoch:g} of {epochs:g}": (
        "меньше эпох или сильнее регуляризация: у {trial} лучшей была эпоха {epoch:g} из {epochs:g}"
    ),
}
