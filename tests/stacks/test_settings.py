"""The settings as an SRE and a platform engineer meet them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stacks.settings import Environment, Mistake, SettingsError, environment_names, load
from stacks.settings_command import ENVIRONMENTS, main, schema


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the environment files that a test may spoil."""
    return Path(shutil.copytree(ENVIRONMENTS, tmp_path / "environments"))


def change(file: Path, **replacements: str) -> None:
    """Give each key, wherever it stands, another value (as TOML text)."""
    lines = file.read_text().splitlines()
    for key, value in replacements.items():
        positions = [number for number, line in enumerate(lines) if line.startswith(f"{key} =")]
        assert positions, f"{file.name} has no {key}"
        lines[positions[0]] = f"{key} = {value}"
    file.write_text("\n".join(lines))


def mistakes_in(file: Path) -> dict[str, Mistake]:
    with pytest.raises(SettingsError) as refused:
        load(file)
    return {mistake.key: mistake for mistake in refused.value.mistakes}


def changed(folder: Path, name: str = "production", **replacements: str) -> dict[str, Mistake]:
    change(folder / f"{name}.toml", **replacements)
    return mistakes_in(folder / f"{name}.toml")


@pytest.mark.parametrize("name", ["local", "development", "staging", "production"])
def test_every_environment_of_the_repository_loads(name: str) -> None:
    environment = load(ENVIRONMENTS / f"{name}.toml")

    assert environment.name == name
    assert environment.stack_prefix == f"ai-orchestration-{name}"
    assert environment.is_production == (name == "production")


def test_settings_cannot_be_changed_after_loading() -> None:
    environment = load(ENVIRONMENTS / "local.toml")

    with pytest.raises(ValueError, match="frozen"):
        environment.scaling.tasks_minimum = 9  # type: ignore[misc]


def test_an_sre_sees_every_mistake_at_once_with_file_key_value_reason_and_remedy(folder: Path) -> None:
    file = folder / "production.toml"
    text = file.read_text().replace("scale_out_cooldown_s", "scale_out_cooldwn_s")
    file.write_text(text)

    mistakes = changed(
        folder,
        tasks_maximum="2",
        cpu_target_percent="0",
        region='"us-east-1"',
        availability_zones='["eu-central-1a"]',
        nat_gateways="1",
    )

    assert {
        "scaling.tasks_maximum": 2,
        "scaling.cpu_target_percent": 0,
        "scaling.scale_out_cooldwn_s": 30,
        "deployment.region": "us-east-1",
        "deployment.availability_zones": ["eu-central-1a"],
    }.items() <= {key: mistake.value for key, mistake in mistakes.items()}.items()
    for mistake in mistakes.values():
        assert mistake.file == file
        assert mistake.reason
        assert mistake.remedy
        for part in (str(file), mistake.key, mistake.reason, mistake.remedy):
            assert part in str(mistake)


def test_a_mistake_in_one_setting_does_not_hide_one_between_its_neighbours(folder: Path) -> None:
    mistakes = changed(folder, cpu_target_percent="0", tasks_maximum="2", task_memory_mib="1000")

    assert {"scaling.cpu_target_percent", "scaling.tasks_maximum", "scaling.task_memory_mib"} <= set(mistakes)


def test_an_unknown_key_is_refused_and_the_near_one_is_named(folder: Path) -> None:
    file = folder / "production.toml"
    file.write_text(file.read_text().replace("drain_time_s", "drain_tme_s"))

    mistakes = mistakes_in(file)

    assert "drain_time_s" in mistakes["scaling.drain_tme_s"].remedy
    assert mistakes["scaling.drain_time_s"].reason == "it is required"


def test_an_unknown_section_is_refused(folder: Path) -> None:
    file = folder / "local.toml"
    file.write_text(file.read_text() + "\n[firewalls]\non = true\n")

    assert "firewalls" in mistakes_in(file)


def test_a_missing_section_is_one_mistake(folder: Path) -> None:
    file = folder / "local.toml"
    text = file.read_text()
    file.write_text(text[: text.index("[cache]")] + text[text.index("[monitoring]") :])

    assert list(mistakes_in(file)) == ["cache"]


@pytest.mark.parametrize(
    ("setting", "value", "key"),
    [
        ("tasks_maximum", "21", "scaling.tasks_maximum"),
        ("requests_per_task_per_minute", "0", "scaling.requests_per_task_per_minute"),
        ("in_flight_requests_per_task", "0", "scaling.in_flight_requests_per_task"),
        ("latency_target_ms", "0", "scaling.latency_target_ms"),
        ("drain_time_s", "111", "scaling.drain_time_s"),
        ("task_cpu_units", "1000", "scaling.task_cpu_units"),
        ("task_memory_mib", "16384", "scaling.task_memory_mib"),
        ("scale_in_cooldown_s", "5", "scaling.scale_in_cooldown_s"),
        ("stateful_protection", "false", "deployment.stateful_protection"),
        ("account", '"1234"', "deployment.account"),
        ("account", "333333333333", "deployment.account"),
        ("nat_gateways", "1", "network.nat_gateways"),
        ("cidr", '"10.30.0.0/24"', "network.cidr"),
        ("cidr", '"8.8.0.0/16"', "network.cidr"),
        ("cidr", '"ten"', "network.cidr"),
        ("flow_log_retention_days", "2", "network.flow_log_retention_days"),
        ("log_retention_days", "91", "gateway.log_retention_days"),
        ("architecture", '"arm"', "gateway.architecture"),
        ("log_level", '"info"', "gateway.log_level"),
        ("maximum_body_bytes", '"10 MB"', "gateway.maximum_body_bytes"),
        ("error_rate_percent", "0", "monitoring.error_rate_percent"),
        ("cpu_alarm_percent", "55", "monitoring.cpu_alarm_percent"),
        ("maximum_ecpu_per_second", "999", "cache.maximum_ecpu_per_second"),
        ("client_keys_days", "-1", "secrets.rotation.client_keys_days"),
        ("google_days", "1001", "secrets.rotation.google_days"),
        ("overlap_hours", "0", "secrets.rotation.overlap_hours"),
        ("overlap_hours", "2160", "secrets.rotation.overlap_hours"),
        ("admin_keys_days", "7", "secrets.rotation.overlap_hours"),
        ("grace_hours", "2160", "secrets.rotation.grace_hours"),
        ("maximum_age_days", "90", "secrets.rotation.maximum_age_days"),
    ],
)
def test_a_value_out_of_bounds_is_the_only_mistake_reported(
    folder: Path, setting: str, value: str, key: str
) -> None:
    assert list(changed(folder, **{setting: value})) == [key]


def test_production_has_a_task_in_every_zone(folder: Path) -> None:
    mistake = changed(folder, tasks_minimum="2")["scaling.tasks_minimum"]

    assert "zone" in mistake.reason
    assert "3" in mistake.remedy


def test_a_release_strategy_is_one_of_three(folder: Path) -> None:
    mistake = changed(folder, strategy='"all_at_once"')["release.strategy"]

    for strategy in ("rolling", "canary", "blue_green"):
        assert strategy in str(mistake)


@pytest.mark.parametrize("setting", ["bake_minutes = 2", "canary_minutes = 2", "canary_percent = 60"])
def test_a_release_is_watched_for_as_long_as_its_alarms_need(folder: Path, setting: str) -> None:
    file = folder / "production.toml"
    file.write_text(file.read_text().replace("[release]\n", f"[release]\n{setting}\n"))

    assert list(mistakes_in(file)) == [f"release.{setting.split()[0]}"]


def test_a_forecast_cannot_be_told_to_scale(folder: Path) -> None:
    file = folder / "production.toml"
    file.write_text(
        file.read_text().replace("[scaling]\n", '[scaling]\npredictive_scaling = "forecast_and_scale"\n')
    )

    assert list(mistakes_in(file)) == ["scaling.predictive_scaling"]


@pytest.mark.parametrize(
    ("zones", "reason"),
    [
        ('["eu-central-1a", "eu-west-1b"]', "no zone of eu-central-1"),
        ('["eu-central-1a", "eu-central-1a"]', "named twice"),
        ('["eu-central-1a"]', "at least 2"),
    ],
)
def test_zones_are_two_or_three_different_ones_of_the_region(folder: Path, zones: str, reason: str) -> None:
    (mistake,) = changed(folder, "development", availability_zones=zones).values()

    assert mistake.key.startswith("deployment.availability_zones")
    assert reason in mistake.reason


def test_more_nat_gateways_than_zones_are_refused(folder: Path) -> None:
    assert list(changed(folder, "development", nat_gateways="3")) == ["network.nat_gateways"]


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-2", "eu-central-2"])
def test_eu_only_refuses_a_region_that_is_not_inside_the_eu(folder: Path, region: str) -> None:
    zones = json.dumps([f"{region}{letter}" for letter in "ab"])

    mistakes = changed(folder, "development", region=f'"{region}"', availability_zones=zones)

    assert list(mistakes) == ["deployment.region"]
    assert "eu-central-1" in mistakes["deployment.region"].remedy


def test_a_region_elsewhere_is_accepted_where_eu_only_does_not_hold(folder: Path) -> None:
    zones = '["us-east-1a", "us-east-1b"]'
    file = folder / "development.toml"
    change(file, region='"us-east-1"', availability_zones=zones, eu_only="false")

    assert load(file).guardrail_profile == "us.guardrail.v1:0"


def test_a_region_whose_guardrails_would_not_understand_german_is_refused(folder: Path) -> None:
    zones = '["sa-east-1a", "sa-east-1b"]'

    mistakes = changed(folder, "development", region='"sa-east-1"', availability_zones=zones, eu_only="false")

    assert list(mistakes) == ["deployment.region"]
    assert "guardrail profile" in mistakes["deployment.region"].reason


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('base_url = "https://aiplatform.googleapis.com"', "providers.google.base_url"),
        ('base_url = "http://aiplatform.eu.rep.googleapis.com"', "providers.google.base_url"),
        ('base_url = "https://aiplatform.eu.rep.googleapis.com.evil.example"', "providers.google.base_url"),
        ('base_url = "https://me@aiplatform.eu.rep.googleapis.com"', "providers.google.base_url"),
        ('base_url = "https://aiplatform.eu.rep.googleapis.com:8443"', "providers.google.base_url"),
        ('location = "global"', "providers.google.location"),
        ('location = "europe-west2"', "providers.google.location"),
    ],
)
def test_eu_only_refuses_a_google_endpoint_without_residency(folder: Path, line: str, key: str) -> None:
    file = folder / "production.toml"
    file.write_text(file.read_text().replace("[providers.google]\n", f"[providers.google]\n{line}\n"))

    assert list(mistakes_in(file)) == [key]


def test_eu_only_refuses_a_llama_endpoint_nobody_vouches_for(folder: Path) -> None:
    assert list(changed(folder, "local", eu_processing="false")) == ["providers.llama.eu_processing"]


@pytest.mark.parametrize("url", ["http://llama.invalid/v1", "https://llama.invalid", "https:///v1", "llama"])
def test_a_llama_address_is_https_and_ends_where_openai_paths_begin(folder: Path, url: str) -> None:
    assert list(changed(folder, "local", base_url=f'"{url}"')) == ["providers.llama.base_url"]


@pytest.mark.parametrize("host", ["10.1.2.3", "[fd00::1]", "localhost", "llama_1.example.com"])
def test_a_provider_is_called_by_a_name_that_a_firewall_can_judge(folder: Path, host: str) -> None:
    assert list(changed(folder, "local", base_url=f'"https://{host}/v1"')) == ["providers.llama.base_url"]


@pytest.mark.parametrize(
    "pattern",
    ["*.example.com", "..example.com", ".com", "https://example.com", "Example.com", 'a.com";', "a.b."],
)
def test_a_further_host_is_a_name_or_a_suffix(folder: Path, pattern: str) -> None:
    file = folder / "local.toml"
    file.write_text(
        file.read_text().replace(
            "eu_processing = true", f"eu_processing = true\nfurther_hosts = ['{pattern}']"
        )
    )

    (mistake,) = mistakes_in(file).values()

    assert mistake.key == "providers.llama.further_hosts.0"
    assert ".example.com" in mistake.remedy


def test_a_key_that_no_clock_rotates_limits_neither_overlap_nor_age(folder: Path) -> None:
    file = folder / "production.toml"
    never = dict.fromkeys(("client_keys_days", "admin_keys_days", "google_days", "llama_days"), "0")
    change(file, **never, overlap_hours="8760", grace_hours="8760", maximum_age_days="1")

    assert set(load(file).secrets.rotation.interval_days.values()) == {0}


@pytest.mark.parametrize(
    "url", ["http://keys.example.eu", "https://keys.example.eu/v1/", "https://10.0.0.1/v1"]
)
def test_keys_are_administered_at_an_https_address_that_a_path_can_follow(folder: Path, url: str) -> None:
    mistakes = changed(folder, "local", key_administration_url=f'"{url}"')

    assert list(mistakes) == ["providers.llama.key_administration_url"]


def test_keys_of_a_disabled_endpoint_are_not_administered(folder: Path) -> None:
    file = folder / "local.toml"
    before, llama = file.read_text().split("[providers.llama]")
    file.write_text(f"{before}[providers.llama]{llama.replace('enabled = true', 'enabled = false', 1)}")

    assert list(mistakes_in(file)) == ["providers.llama.key_administration_url"]


def test_production_is_behind_the_firewall(folder: Path) -> None:
    mistakes = changed(folder, enabled="false")

    assert list(mistakes) == ["network.firewall.enabled"]
    assert "alert_only" in mistakes["network.firewall.enabled"].remedy


def test_the_firewall_needs_a_nat_gateway_in_every_zone(folder: Path) -> None:
    mistakes = changed(folder, "staging", nat_gateways="2")

    assert list(mistakes) == ["network.nat_gateways"]
    assert "firewall" in mistakes["network.nat_gateways"].reason
    change(folder / "staging.toml", enabled="false")
    assert load(folder / "staging.toml").network.nat_gateways == 2


def test_an_address_may_do_what_a_key_may(folder: Path) -> None:
    key = "gateway.web_firewall.requests_per_address_per_minute"

    mistakes = changed(folder, requests_per_address_per_minute="11999")

    assert list(mistakes) == [key]
    assert "12000" in mistakes[key].remedy


def test_an_enabled_provider_needs_its_address(folder: Path) -> None:
    file = folder / "local.toml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith(("base_url", "project"))]
    file.write_text("\n".join(lines))

    assert set(mistakes_in(file)) == {"providers.google.project", "providers.llama.base_url"}


def test_at_least_one_provider_answers(folder: Path) -> None:
    file = folder / "production.toml"
    before, providers = file.read_text().split("[providers.bedrock]")
    disabled = providers.replace("enabled = true", "enabled = false")
    file.write_text(f"{before}[providers.bedrock]{disabled}")

    assert list(mistakes_in(file)) == ["providers"]


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("cron(30 6 ? * MON-FRI *)", "30 6 * * 1-5", "scaling.scheduled_floors.0.schedule"),
        ("cron(30 6 ? * MON-FRI *)", "cron(30 6 1 * MON *)", "scaling.scheduled_floors.0.schedule"),
        ("tasks_minimum = 6", "tasks_minimum = 2", "scaling.scheduled_floors.0.tasks_minimum"),
        ('name = "evening"', 'name = "office-hours"', "scaling.scheduled_floors.1.name"),
    ],
)
def test_a_scheduled_floor_that_cannot_work_is_refused(folder: Path, old: str, new: str, key: str) -> None:
    file = folder / "production.toml"
    file.write_text(file.read_text().replace(old, new))

    assert list(mistakes_in(file)) == [key]


def test_a_scheduled_floor_that_is_never_lowered_again_is_refused(folder: Path) -> None:
    file = folder / "production.toml"
    text = file.read_text()
    evening = text.index('[[scaling.scheduled_floors]]\nname = "evening"')
    file.write_text(text[:evening] + text[text.index("[release]") :])

    (mistake,) = mistakes_in(file).values()

    assert mistake.key == "scaling.scheduled_floors"
    assert "tasks_minimum = 3" in mistake.remedy


def test_a_certificate_of_another_region_is_refused(folder: Path) -> None:
    file = folder / "production.toml"
    arn = "arn:aws:acm:eu-west-1:333333333333:certificate/0a1b"
    file.write_text(file.read_text().replace("[gateway]\n", f'[gateway]\ncertificate_arn = "{arn}"\n'))

    assert list(mistakes_in(file)) == ["gateway.certificate_arn"]


def test_malformed_toml_is_reported_with_its_place(folder: Path) -> None:
    file = folder / "local.toml"
    file.write_text("[deployment\n")

    (mistake,) = mistakes_in(file).values()

    assert mistake.file == file
    assert "line 1" in mistake.reason


def test_a_missing_file_names_the_environments_there_are(folder: Path) -> None:
    (mistake,) = mistakes_in(folder / "prod.toml").values()

    assert mistake.remedy == "use one of: development, local, production, staging"


def test_a_route_set_or_policy_set_that_does_not_exist_is_refused(folder: Path) -> None:
    mistakes = changed(folder, route_set='"nowhere"', policy_set='"nothing"')

    assert set(mistakes) == {"routing.route_set", "guardrails.policy_set"}
    assert "default" in mistakes["routing.route_set"].remedy


def test_a_mistake_in_a_guardrail_policy_is_reported_with_its_own_file(folder: Path) -> None:
    policies = folder / "guardrails" / "default.toml"
    policies.write_text(policies.read_text().replace('"EMAIL"', '"MAIL"', 1).replace("0.7", "7", 1))

    mistakes = changed(folder, tasks_maximum="2")

    assert mistakes["scaling.tasks_maximum"].file == folder / "production.toml"
    assert mistakes["domains.general.personal_data.anonymize.0"].file == policies
    assert mistakes["domains.legal.grounding.grounding_threshold"].value == 7


def test_every_domain_of_the_routing_has_a_guardrail(folder: Path) -> None:
    policies = folder / "guardrails" / "default.toml"
    policies.write_text(policies.read_text().replace("[domains.culinary", "[domains.kitchen"))
    policies.write_text(policies.read_text().replace("[[domains.culinary", "[[domains.kitchen"))

    (mistake,) = mistakes_in(folder / "local.toml").values()

    assert "culinary" in mistake.reason


class TestWhatFollowsFromTheSettings:
    def test_provider_hosts_are_those_of_enabled_providers_sorted(self, folder: Path) -> None:
        assert load(folder / "production.toml").provider_hosts == (
            "aiplatform.eu.rep.googleapis.com",
            "oauth2.googleapis.com",
        )
        assert load(folder / "local.toml").provider_hosts == (
            "aiplatform.eu.rep.googleapis.com",
            "llama.invalid",
            "oauth2.googleapis.com",
        )

    def test_the_firewalls_let_through_what_the_gateway_dials_and_what_an_endpoint_adds(
        self, folder: Path
    ) -> None:
        file = folder / "local.toml"
        added = 'eu_processing = true\nfurther_hosts = [".llama.example.eu"]'
        file.write_text(file.read_text().replace("eu_processing = true", added))

        environment = load(file)

        assert set(environment.egress_hosts) == {
            *environment.provider_hosts,
            *environment.key_administration_hosts,
            ".llama.example.eu",
        }
        assert ".llama.example.eu" not in environment.provider_hosts

    def test_where_keys_are_administered_passes_the_firewalls_and_is_nothing_the_gateway_dials(
        self, folder: Path
    ) -> None:
        file = folder / "local.toml"
        file.write_text(file.read_text().replace("llama.invalid/v1/organization", "keys.example.eu/v1"))

        environment = load(file)

        assert environment.key_administration_hosts == ("iam.googleapis.com", "keys.example.eu")
        assert set(environment.key_administration_hosts) < set(environment.egress_hosts)
        assert not set(environment.key_administration_hosts) & set(environment.provider_hosts)

    def test_a_disabled_provider_opens_no_host(self, folder: Path) -> None:
        file = folder / "production.toml"
        file.write_text(
            file.read_text().replace(
                "[providers.google]\nenabled = true", "[providers.google]\nenabled = false"
            )
        )

        environment = load(file)

        assert environment.provider_hosts == ()
        assert environment.egress_hosts == ()
        assert environment.enabled_providers == ("bedrock",)

    def test_the_drain_time_fits_into_the_times_that_follow_from_it(self, folder: Path) -> None:
        file = folder / "production.toml"
        change(file, drain_time_s="110")

        environment = load(file)

        assert environment.deregistration_delay_s == 110
        assert environment.scaling.drain_time_s < environment.stop_timeout_s <= 120


def test_local_differs_from_production_in_sizes_and_not_in_what_there_is() -> None:
    local, production = load(ENVIRONMENTS / "local.toml"), load(ENVIRONMENTS / "production.toml")

    assert local.guardrails == production.guardrails
    assert local.routing == production.routing
    assert local.deployment.eu_only == production.deployment.eu_only


class TestCommand:
    def test_check_passes_on_the_repository(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["check"]) == 0
        assert "production" in capsys.readouterr().out

    def test_check_lists_the_mistakes_of_all_files_and_fails(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        change(folder / "local.toml", cpu_target_percent="0")
        change(folder / "staging.toml", tasks_maximum="1")

        assert main(["check", "--folder", str(folder)]) == 1

        printed = capsys.readouterr().err
        assert "2 mistakes" in printed
        assert "local.toml: scaling.cpu_target_percent = 0" in printed
        assert "staging.toml: scaling.tasks_maximum = 1" in printed

    def test_check_of_one_environment_leaves_the_others_alone(self, folder: Path) -> None:
        change(folder / "local.toml", cpu_target_percent="0")

        assert main(["check", "production", "--folder", str(folder)]) == 0

    def test_it_runs_as_a_module_without_loading_the_cdk(self) -> None:
        program = "import sys, runpy; sys.argv[1:] = ['check']\n" + (
            "try: runpy.run_module('stacks.settings', run_name='__main__')\n"
            "except SystemExit as end: assert not end.code\n"
            "assert 'aws_cdk' not in sys.modules"
        )

        subprocess.run([sys.executable, "-c", program], check=True, cwd=ENVIRONMENTS.parent)

    @pytest.mark.parametrize(
        ("of", "file"), [("environment", "schema.json"), ("guardrails", "guardrails/schema.json")]
    )
    def test_the_schema_that_editors_read_is_the_one_of_the_code(self, of: str, file: str) -> None:
        assert (ENVIRONMENTS / file).read_text() == schema(of) + "\n"


def test_every_setting_is_documented() -> None:
    undocumented = [
        f"{section}.{name}"
        for section, field in Environment.model_fields.items()
        for name, inner in getattr(field.annotation, "model_fields", {}).items()
        if not inner.description and section != "providers"
    ]

    assert undocumented == []


def test_names_are_those_of_the_files(folder: Path) -> None:
    assert environment_names(folder) == ("development", "local", "production", "staging")


@pytest.mark.parametrize("name", ["Production", "my_team", "a-very-long-name-indeed", "two--hyphens"])
def test_a_file_whose_name_cannot_be_part_of_other_names_is_refused(folder: Path, name: str) -> None:
    file = folder / "local.toml"

    (mistake,) = mistakes_in(file.rename(folder / f"{name}.toml")).values()

    assert mistake.value == name
    assert "14" in mistake.remedy


def test_a_tag_that_aws_refuses_is_refused_before(folder: Path) -> None:
    assert list(changed(folder, "local", owner='"KI & Daten"')) == ["tags.owner"]


@pytest.mark.parametrize("section", ["5", "[]", "[[1]]", '"text"'])
def test_a_section_that_is_no_table_is_one_mistake(folder: Path, section: str) -> None:
    file = folder / "local.toml"
    text = file.read_text()
    without = text[: text.index("[cache]")] + text[text.index("[monitoring]") :]
    file.write_text(f"cache = {section}\n{without}")

    (mistake,) = mistakes_in(file).values()

    assert mistake.key == "cache"
    assert "Write a table" in mistake.remedy


@pytest.mark.parametrize(
    ("schedule", "named"),
    [
        ("cron(99 66 ? * FOO *)", "minute"),
        ("cron(0 24 ? * MON *)", "hour"),
        ("cron(0 7 32 * ? *)", "day-of-month"),
        ("cron(0 7 ? 13 MON *)", "month"),
        ("cron(0 7 ? * FOO *)", "day-of-week"),
        ("cron(0 7 ? * MON 1900)", "year"),
    ],
)
def test_a_cron_field_out_of_range_is_named(folder: Path, schedule: str, named: str) -> None:
    file = folder / "production.toml"
    file.write_text(file.read_text().replace("cron(30 6 ? * MON-FRI *)", schedule))

    assert f"Invalid {named} value" in mistakes_in(file)["scaling.scheduled_floors.0.schedule"].reason


@pytest.mark.parametrize("schedule", ["cron(0/5 7-9 L JAN,MAR ? *)", "cron(0 7 ? * 2#1 2030)"])
def test_the_dialect_of_aws_is_understood(folder: Path, schedule: str) -> None:
    file = folder / "production.toml"
    file.write_text(file.read_text().replace("cron(30 6 ? * MON-FRI *)", schedule))

    assert load(file).scaling.scheduled_floors[0].schedule == schedule


def test_a_wrong_schedule_hides_no_wrong_time_zone(folder: Path) -> None:
    file = folder / "production.toml"
    text = file.read_text().replace("cron(30 6 ? * MON-FRI *)", "cron(99 6 ? * MON-FRI *)")
    file.write_text(text.replace('"Europe/Berlin"', '"Europe/Berlim"', 1))

    keys = {"scaling.scheduled_floors.0.schedule", "scaling.scheduled_floors.0.time_zone"}
    assert set(mistakes_in(file)) == keys


def complaints(folder: Path, capsys: pytest.CaptureFixture[str], *names: str) -> str:
    """What the check prints about a spoilt folder."""
    assert main(["check", *names, "--folder", str(folder)]) == 1
    return capsys.readouterr().err


def test_the_check_judges_models_and_route_sets_with_everything_else(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = next(iter(sorted((folder / "models").glob("*.toml"))))
    model.write_text(model.read_text() + "\nsight = true\n")
    route_set = folder / "route-sets" / "default.toml"
    route_set.write_text(route_set.read_text().replace("sla_ms = ", "sla = ", 1))
    change(folder / "production.toml", cpu_target_percent="0")

    printed = complaints(folder, capsys)
    for named in (model.name, "sight", "default.toml", "sla", "production.toml", "cpu_target_percent"):
        assert named in printed


def test_the_check_judges_a_route_set_for_each_environment_and_names_a_mistake_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "models" / "bedrock-claude-sonnet-4-5.toml").unlink()

    printed = complaints(folder, capsys)
    assert printed.count("declares no such version") == 1
    assert "bedrock#claude-sonnet-4-5 2026-11-01" in printed


def test_two_environments_in_one_account_and_region_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account = load(folder / "production.toml").deployment.account
    change(folder / "staging.toml", account=f'"{account}"')

    printed = complaints(folder, capsys)
    assert f"staging.toml: deployment.account = {json.dumps(account)}" in printed
    assert "production is in this account" in printed
    assert "production.toml: deployment.account" not in complaints(folder, capsys, "staging")


def test_the_embedded_cloud_shares_nothing_with_an_account_of_aws(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account = load(folder / "production.toml").deployment.account
    change(folder / "local.toml", account=f'"{account}"')

    assert "local.toml: deployment.account" in complaints(folder, capsys)


def test_a_folder_in_the_place_of_a_file_is_a_message(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "production.toml").unlink()
    (folder / "production.toml").mkdir()

    assert "it cannot be read: Is a directory" in complaints(folder, capsys)
